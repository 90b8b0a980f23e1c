// integer/fixed_point.py for one number: the portable arithmetic.
#pragma once

#include <math.h>
#include <cstdint>
#include <initializer_list>

#include "types.h"

// In an unnamed namespace, and free of the standard library's templates: files compiled for one instruction set use this,
// and their copies must stay theirs.
namespace fullint::detail {
namespace {

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t clip(int64_t value, int64_t low, int64_t high) { return least(most(value, low), high); }

inline int64_t load(const void* data, NumberType type, int64_t index) {
  switch (type) {
    case NumberType::u8:
      return static_cast<const uint8_t*>(data)[index];
    case NumberType::s8:
      return static_cast<const int8_t*>(data)[index];
    case NumberType::s16:
      return static_cast<const int16_t*>(data)[index];
    default:
      return static_cast<const int32_t*>(data)[index];
  }
}

inline void store(void* data, NumberType type, int64_t index, int64_t value) {
  switch (type) {
    case NumberType::u8:
      static_cast<uint8_t*>(data)[index] = static_cast<uint8_t>(value);
      break;
    case NumberType::s8:
      static_cast<int8_t*>(data)[index] = static_cast<int8_t>(value);
      break;
    case NumberType::s16:
      static_cast<int16_t*>(data)[index] = static_cast<int16_t>(value);
      break;
    default:
      static_cast<int32_t*>(data)[index] = static_cast<int32_t>(value);
  }
}

inline const void* row_of(const ConstRows& rows, NumberType type, int64_t row) {
  return static_cast<const char*>(rows.data) + row * rows.row_stride * size_of(type);
}
inline void* row_of(const Rows& rows, NumberType type, int64_t row) {
  return static_cast<char*>(rows.data) + row * rows.row_stride * size_of(type);
}

inline int64_t shift_right(int64_t value, int64_t shift) { return (value + ((int64_t{1} << shift) >> 1)) >> shift; }

inline int64_t requantize(int64_t value, int64_t pre_shift, int64_t multiplier, int64_t shift, int intermediate_bits) {
  const int64_t limit = int64_t{1} << (intermediate_bits - 1);
  const int64_t intermediate = clip(shift_right(value, pre_shift), -limit, limit - 1);
  return shift_right(intermediate * multiplier, shift);
}

inline int bit_length(uint64_t value) {
#ifdef __GNUC__
  return value == 0 ? 0 : 64 - __builtin_clzll(value);
#else
  int length = 0;
  for (int step : {32, 16, 8, 4, 2, 1})
    if (value >> step) {
      value >>= step;
      length += step;
    }
  return length + (value > 0 ? 1 : 0);
#endif
}

inline int64_t integer_square_root(int64_t value) {
  int64_t root = static_cast<int64_t>(sqrt(static_cast<double>(value)));
  root -= root * root > value;
  root += (root + 1) * (root + 1) <= value;
  return root;
}

struct MantissaExponent {
  int32_t mantissa, exponent;
};

inline MantissaExponent reciprocal(int64_t value) {
  const int exponent = 14 + bit_length(static_cast<uint64_t>(value - 1));
  return {static_cast<int32_t>((int64_t{1} << exponent) / value), exponent};
}

inline MantissaExponent reciprocal_square_root(int64_t value) {
  const int half_shift = (bit_length(static_cast<uint64_t>(value)) - 31) >> 1;
  const int64_t normalised = half_shift >= 0 ? value >> (2 * half_shift) : value << (-2 * half_shift);
  const int64_t mantissa = integer_square_root((int64_t{1} << 60) / normalised);
  return {static_cast<int32_t>(least(mantissa, 32767)), 30 + half_shift};
}

// round(amplitude * EXP2_SLOPE), round(amplitude * EXP2_CURVATURE) of fixed_point.exp2_mantissa.
struct Exponential {
  int32_t amplitude, slope, curvature;
};
constexpr Exponential exponential_codes{255 << 8, 43896, 11328};  // ops/exponentials.py
constexpr Exponential exponential_15_bits{1 << 15, 22034, 5686};  // ops/softmax.py, ops/log2_softmax.py

// amplitude * 2^-(distance / 2^10), distance in [0, 2^15).
inline int32_t exponential(int32_t distance, const Exponential& of) {
  const int32_t fraction = (distance & 1023) << 6;
  const int32_t inner = of.slope - static_cast<int32_t>((int64_t{fraction} * of.curvature) >> 16);
  const int32_t mantissa = of.amplitude - static_cast<int32_t>((int64_t{fraction} * inner) >> 16);
  return mantissa >> (distance >> 10);
}

// floor(log2(value) * 2^10), or one less.
inline int32_t log2_fixed_10(int64_t value) {
  const int whole = bit_length(static_cast<uint64_t>(value)) - 1;
  int64_t mantissa = value << (30 - whole);
  int32_t result = whole;
  for (int bit = 0; bit < 10; ++bit) {
    const int64_t square = (mantissa * mantissa) >> 30;
    const int64_t carry = square >> 31;
    mantissa = square >> carry;
    result = 2 * result + static_cast<int32_t>(carry);
  }
  return result;
}

// ops/weighted_average.py: a row's accumulators become averages by one requantization.
struct AverageFactor {
  int32_t pre_shift, multiplier, shift;
};
inline AverageFactor average_factor(int64_t row_sum, int32_t value_bits, int32_t fraction_bits) {
  row_sum = most(row_sum, 1);
  const MantissaExponent inverse = reciprocal(row_sum);
  const int32_t pre_shift =
      static_cast<int32_t>(most(bit_length(static_cast<uint64_t>(row_sum - 1)) + value_bits - 15, 0));
  return {pre_shift, inverse.mantissa, inverse.exponent - fraction_bits - pre_shift};
}

}  // namespace
}  // namespace fullint::detail
