// Softmaxes that find the weights of a row by themselves, in the row's order: one a file in rows/.
#pragma once

#include <cstdint>

namespace fullint {

// Of the softmax; pre_shift, multiplier, shift as in the op, one number each (a head has one).
struct ScoreFactor {
  int32_t pre_shift = 0, multiplier = 0, shift = 0;
};

enum class RowSoftmaxKind : uint8_t { e2softmax, shiftmax, count };

// The attributes of all of them, under the names they have in ops/*.py; each reads its own.
struct RowSoftmax {
  RowSoftmaxKind kind = RowSoftmaxKind::e2softmax;
  int32_t zero_point = 0, fraction_bits = 0, octaves = 0, natural = 0, rounding = 0, output_bits = 8;
  int32_t quotients[2] = {0, 0};
  int64_t group = 1;
};

// Whether its results are codes k for 2^-k, which shift_matmul takes.
constexpr bool gives_powers(const RowSoftmax& softmax) {
  return softmax.kind == RowSoftmaxKind::e2softmax && softmax.output_bits == 4;
}

// Its results' bits, or those of the powers 2^(15 - k) that stand for them in products.
constexpr int32_t weight_bits(const RowSoftmax& softmax) { return gives_powers(softmax) ? 16 : softmax.output_bits; }

namespace detail {

// One row of scores to the operation's results. The scores are overwritten.
using RowSoftmaxFunction = void (*)(const RowSoftmax&, ScoreFactor, int64_t columns, int32_t* scores, uint16_t* results);

}  // namespace detail
}  // namespace fullint
