// Arithmetic of integer/fixed_point.py in 32-bit lanes, where the operations' type rules keep it there.
#pragma once

#include <cstdint>

#include "row_operations.h"

namespace fullint::detail {
namespace {

inline int32_t least_of(int32_t a, int32_t b) { return a < b ? a : b; }
inline int32_t most_of(int32_t a, int32_t b) { return a > b ? a : b; }
inline int32_t clip_to(int32_t value, int32_t low, int32_t high) { return least_of(most_of(value, low), high); }

// Rounded division by a power of two that is the same in all lanes.
class RoundedShift {
 public:
  explicit RoundedShift(int32_t shift) : shift_(shift), half_(static_cast<int32_t>((uint32_t{1} << shift) >> 1)) {}
  int32_t operator()(int32_t value) const { return (value + half_) >> shift_; }

 private:
  int32_t shift_, half_;
};

// fixed_point.requantize with 16-bit intermediates, and one factor for all lanes.
class Rescaling {
 public:
  explicit Rescaling(ScalarFactor factor) : before_(factor.pre_shift), after_(factor.shift), multiplier_(factor.multiplier) {}
  int32_t operator()(int32_t value) const { return after_(clip_to(before_(value), -32768, 32767) * multiplier_); }

 private:
  RoundedShift before_, after_;
  int32_t multiplier_;
};

inline int32_t largest_of(const int32_t* values, int64_t count) {
  int32_t largest = values[0];
  for (int64_t i = 1; i < count; ++i) largest = most_of(largest, values[i]);
  return largest;
}

}  // namespace
}  // namespace fullint::detail
