// Operations that compute a row from a row, in its order: one a file in rows/. Their attributes, under the names that they have
// in integer/ops/*.py; of those that several operations share a struct for, each reads its own.
#pragma once

#include <cstdint>

#include "types.h"

namespace fullint {

// The constants of a requantization (fixed_point.requantize with 16-bit intermediates), one number each.
struct ScalarFactor {
  int32_t pre_shift = 0, multiplier = 0, shift = 0;
};

enum class RowSoftmaxKind : uint8_t { e2softmax, itamax, shiftmax, count };

struct RowSoftmax {
  RowSoftmaxKind kind = RowSoftmaxKind::e2softmax;
  int32_t zero_point = 0, fraction_bits = 0, octaves = 0, natural = 0, rounding = 0, output_bits = 8;
  int32_t quotients[2] = {0, 0};
  int64_t group = 1;
  bool as_powers = false;  // codes k are wanted as the numbers 2^(15 - k)
};

// Whether its results are codes k for 2^-k, which shift_matmul takes.
constexpr bool gives_powers(const RowSoftmax& softmax) {
  return softmax.kind == RowSoftmaxKind::e2softmax && softmax.output_bits == 4;
}

// Bits of its results, those of powers once they are numbers.
constexpr int32_t weight_bits(const RowSoftmax& softmax) { return gives_powers(softmax) ? 16 : softmax.output_bits; }

enum class RowGeluKind : uint8_t { ibert_gelu, shiftgelu, count };

struct RowGelu {
  RowGeluKind kind = RowGeluKind::ibert_gelu;
  ScalarFactor factor, output_factor;
  int32_t edge = 0, unit = 0, gate_shift = 0;
  int32_t fraction_bits = 0, octaves = 0, natural = 0, rounding = 0, row_maximum = 0, gate_bits = 0;
  int32_t zero_x = 0, zero_point = 0, low = 0, high = 0;
};

// Whether an element's result depends on that element only.
constexpr bool is_elementwise(const RowGelu& gelu) { return gelu.row_maximum == 0; }

enum class RowNormKind : uint8_t { ailayernorm, i_layernorm, count };

// What they have beyond layer_norm.
struct RowNorm {
  RowNormKind kind = RowNormKind::ailayernorm;
  int32_t ranges = 3;
  int32_t fraction_bits = 0, start_bits = 0, iterations = 0;
};

namespace detail {

// One row of scores to the operation's results. The scores are overwritten.
using RowSoftmaxFunction = void (*)(const RowSoftmax&, ScalarFactor, int64_t columns, int32_t* scores, uint16_t* results);

}  // namespace detail
}  // namespace fullint
