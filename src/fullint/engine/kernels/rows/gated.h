// integer/gated.py
#pragma once

#include "rows/lanes.h"

namespace fullint::detail {
namespace {

// x times a gate, onto the output's grid.
class Gated {
 public:
  explicit Gated(const RowGelu& gelu)
      : rescaled_(gelu.output_factor), zero_point_(gelu.zero_point), low_(gelu.low), high_(gelu.high) {}
  int32_t operator()(int32_t centred, int32_t gate) const {
    return clip_to(rescaled_(centred * gate) + zero_point_, low_, high_);
  }

 private:
  Rescaling rescaled_;
  int32_t zero_point_, low_, high_;
};

}  // namespace
}  // namespace fullint::detail
