// ops/layer_norm.py, portable.
#include "fixed_point.h"
#include "portable.h"

namespace fullint::detail {
namespace {

struct Sums {
  int64_t total = 0, squares = 0;
};

int64_t centred_code(const LayerNormData& data, const void* x, int64_t channel) {
  return (load(x, data.input_type, channel) - data.zero_x) * (int64_t{1} << data.channel_shift[channel]);
}

Sums sums_of(const LayerNormData& data, const void* x) {
  Sums sums;
  for (int64_t channel = 0; channel < data.channels; ++channel) {
    const int64_t v = centred_code(data, x, channel);
    sums.total += v;
    sums.squares += v * v;
  }
  return sums;
}

void normalise_row(const LayerNormData& data, const void* x, void* out) {
  const Sums sums = sums_of(data, x);
  const int64_t variance = data.channels * sums.squares - sums.total * sums.total;
  const auto [mantissa, exponent] = reciprocal_square_root(variance + data.epsilon);
  const int right = exponent - data.fraction_bits - 15;
  for (int64_t channel = 0; channel < data.channels; ++channel) {
    const int64_t centred = data.channels * centred_code(data, x, channel) - sums.total;
    const int64_t numerator = shift_right(centred * (int64_t{1} << most(-right, 0)), most(right, 0));
    const int64_t normalised = shift_right(clip(numerator, -32767, 32767) * mantissa, 15);
    const int64_t affine =
        shift_right(normalised * data.multiplier[channel] + data.bias[channel], data.shift[channel]);
    store(out, data.output_type, channel, clip(affine + data.zero_point, data.low, data.high));
  }
}

}  // namespace

void layer_norm_portable(const LayerNormData& data, int64_t rows, const ConstRows& x, const Rows& out) {
  for (int64_t row = 0; row < rows; ++row)
    normalise_row(data, row_of(x, data.input_type, row), row_of(out, data.output_type, row));
}

}  // namespace fullint::detail
