// ops/ailayernorm.py
#include "fixed_point.h"
#include "rows/driver.h"
#include "rows/lanes.h"
#include "rows/rows.h"

namespace fullint::detail {
namespace {

constexpr int32_t mean_fraction_bits = 2, normalised_limit = 2047;

// fraction_bits of the operation: of a normalised value in 11 bits.
int32_t fraction_bits(int64_t channels) { return 10 - (bit_length(static_cast<uint64_t>(channels - 1)) + 1) / 2; }

// The square of a magnitude of 8 bits, compressed to 4 bits: less than 2^16.
inline int32_t compressed_square(int32_t magnitude, int32_t smallest_step) {
  const int32_t step = magnitude >= 64 ? 4 : magnitude >= 16 ? 2 : smallest_step;
  const int32_t compressed = least_of((magnitude + (1 << step >> 1)) >> step, 15);
  return compressed * compressed << 2 * step;
}

struct Sums {
  int64_t total = 0, squares = 0;
};

// Shifts of up to 3 places make squares less than 2^22; so many add up in 31 bits.
constexpr int64_t channels_at_once = 512;

Sums sums_of(const RowNormData& data, const int32_t* centred) {
  const int32_t smallest_step = data.norm.ranges == 3 ? 0 : 2;
  Sums sums;
  for (int64_t first = 0; first < data.types.columns; first += channels_at_once) {
    const int64_t last = least(first + channels_at_once, data.types.columns);
    int32_t total = 0, squares = 0;
    for (int64_t channel = first; channel < last; ++channel) {
      const int32_t value = centred[channel], magnitude = value < 0 ? -value : value;
      total += value * (1 << data.channel_shift[channel]);
      squares += compressed_square(magnitude, smallest_step) << 2 * data.channel_shift[channel];
    }
    sums.total += total;
    sums.squares += squares;
  }
  return sums;
}

// Mean in steps of 1/4, variance in steps of 1/16.
struct Statistics {
  int32_t mean;
  int64_t variance;
};

Statistics statistics_of(const RowNormData& data, const int32_t* centred) {
  const Sums sums = sums_of(data, centred);
  const MantissaExponent inverse = reciprocal(data.types.columns);
  const int64_t mean = shift_right(sums.total * inverse.mantissa, inverse.exponent - mean_fraction_bits);
  const int64_t second = shift_right(sums.squares * inverse.mantissa, inverse.exponent - 2 * mean_fraction_bits);
  return {static_cast<int32_t>(mean), most(second - mean * mean, 0)};
}

MantissaExponent short_reciprocal_square_root(const RowNormData& data, int64_t value) {
  const int32_t half = (bit_length(static_cast<uint64_t>(value)) - 7) >> 1;
  const int64_t shifted = half < 0 ? value << 1 : value >> (2 * half + 1);
  return {data.root_table[shifted - 32], 11 + half};
}

void normalise(const RowNormData& data, int32_t* values) {
  const int64_t channels = data.types.columns;
  for (int64_t channel = 0; channel < channels; ++channel) values[channel] -= data.zero_x;
  const Statistics statistics = statistics_of(data, values);
  const auto [mantissa, exponent] = short_reciprocal_square_root(data, statistics.variance + data.epsilon);
  const int32_t right = exponent - 8 - fraction_bits(channels), left_factor = 1 << most_of(-right, 0);
  const RoundedShift numerator_shift(most_of(right, 0)), mantissa_shift(8), result_shift(data.shift[0]);
  for (int64_t channel = 0; channel < channels; ++channel) {
    const int32_t centred = values[channel] * (1 << (data.channel_shift[channel] + mean_fraction_bits)) - statistics.mean;
    const int32_t numerator = clip_to(numerator_shift(centred * left_factor), -normalised_limit, normalised_limit);
    const int32_t normalised = mantissa_shift(numerator * mantissa);
    const int32_t affine = result_shift(normalised * data.multiplier[channel] + data.bias[channel]);
    values[channel] = clip_to(affine, data.low - data.zero_point, data.high - data.zero_point) + data.zero_point;
  }
}

}  // namespace

namespace FULLINT_SET {

void ailayernorm(const RowNormData& data, int64_t rows, const ConstRows& x, const Rows& out) {
  for_each_row(data.types, rows, x, out, [&](int32_t* values) { normalise(data, values); });
}

}  // namespace FULLINT_SET
}  // namespace fullint::detail
