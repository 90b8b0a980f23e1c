// integer/shift_exponential.py, and the distances it takes.
#pragma once

#include "rows/lanes.h"

namespace fullint::detail {
namespace {

// Of how far a score, or an input, is below the largest.
class ShiftExponential {
 public:
  ShiftExponential(ScalarFactor factor, int32_t fraction_bits, int32_t octaves, bool natural)
      : rescaled_(factor), fraction_bits_(fraction_bits), octaves_(octaves), natural_(natural ? -1 : 0) {}

  int32_t operator()(int32_t below) const {
    below = least_of(rescaled_(below), 32767);
    below += (((below + 1) >> 1) - ((below + 15) >> 4)) & natural_;
    below = least_of(below, octaves_ << fraction_bits_);
    const int32_t mantissa = (2 << fraction_bits_) - (below & ((1 << fraction_bits_) - 1));
    return (mantissa << octaves_) >> ((below >> fraction_bits_) + 1);
  }

 private:
  Rescaling rescaled_;
  int32_t fraction_bits_, octaves_, natural_;
};

}  // namespace
}  // namespace fullint::detail
