// ops/i_layernorm.py
#include "fixed_point.h"
#include "rows/driver.h"
#include "rows/lanes.h"
#include "rows/rows.h"

namespace fullint::detail {
namespace {

constexpr int32_t normalised_bits = 15;

int64_t newton_square_root(int64_t value, int32_t start_bits, int32_t iterations) {
  const int32_t bits = start_bits != 0 ? start_bits : (bit_length(static_cast<uint64_t>(value)) + 1) / 2;
  int64_t root = int64_t{1} << bits;
  for (int32_t step = 0; step < iterations; ++step) root = (root + value / root) >> 1;
  return root;
}

// Rounded to nearest, halves up, as Python divides.
int32_t mean_of(int64_t total, int64_t count) {
  const int64_t numerator = total + count / 2;
  return static_cast<int32_t>(numerator / count - (numerator % count < 0 ? 1 : 0));
}

void normalise(const RowNormData& data, int32_t* values) {
  const int64_t channels = data.types.columns;
  int32_t total = 0;
  for (int64_t channel = 0; channel < channels; ++channel) {
    values[channel] = (values[channel] - data.zero_x) * (1 << (data.channel_shift[channel] + data.norm.fraction_bits));
    total += values[channel];
  }
  const int32_t mean = mean_of(total, channels);
  int64_t variance = data.epsilon;
  for (int64_t channel = 0; channel < channels; ++channel) {
    values[channel] -= mean;
    variance += int64_t{values[channel]} * values[channel];
  }
  const auto inverse =
      static_cast<int32_t>(INT32_MAX / newton_square_root(variance, data.norm.start_bits, data.norm.iterations));
  for (int64_t channel = 0; channel < channels; ++channel) {
    const int32_t normalised = values[channel] * inverse >> (31 - normalised_bits), shift = data.shift[channel];
    const int32_t affine = normalised * data.multiplier[channel] + data.bias[channel];
    values[channel] = clip_to(((affine + (1 << shift >> 1)) >> shift) + data.zero_point, data.low, data.high);
  }
}

}  // namespace

namespace FULLINT_SET {

void i_layernorm(const RowNormData& data, int64_t rows, const ConstRows& x, const Rows& out) {
  for_each_row(data.types, rows, x, out, [&](int32_t* values) { normalise(data, values); });
}

}  // namespace FULLINT_SET
}  // namespace fullint::detail
