// What kernels of every instruction set share: constants laid out for them, as plain data.
//
// Files compiled for one instruction set include this and no standard containers: an inline function of a container,
// compiled there, could be the copy that the linker keeps for everybody.
#pragma once

#include <cstddef>
#include <cstdint>

#include "row_operations.h"
#include "types.h"

namespace fullint {

namespace detail {

// fixed_point.requantize and clip, one entry a column in the columns' order.
struct RequantizeData {
  const int32_t *pre_shift, *multiplier, *shift;
  int32_t intermediate_bits, zero_point, low, high;
};

struct AdditionData {
  const int32_t *multiplier_a, *multiplier_b, *shift;
  int32_t zero_a, zero_b, zero_point, low, high;
};

constexpr int64_t panel_columns = 32;
constexpr int64_t block_depth = 64;  // inputs of one tile

// Vector kernels finish 32 columns at a time, as two registers of 16 int32. Packing two such registers to int16 interleaves
// their lanes, so the two registers hold the columns in "tile order", for which packing gives the natural one.
constexpr int64_t tile_order(int64_t position) {
  return 8 * (position % 16 / 4) + 4 * (position / 16) + position % 4;
}

// How a vector kernel brings int32 accumulators to codes. h is the 16-bit intermediate.
enum class Route : uint8_t {
  none,      // they stay accumulators
  high,      // shift >= 17: the high half of h * multiplier, in 16-bit lanes to the end
  whole,     // shift <= 15, int16 results: [h +] the rounded high half of h * multiplier, in 16-bit lanes
  pairs,     // h * multiplier + rounding as one product of pairs, in 32-bit lanes; suits whatever the two before it do
  portable,  // scalar code from stored accumulators
};

// Constants of 32 columns. Natural order for 16-bit lanes, tile order for 32-bit lanes.
struct alignas(64) Panel {
  int32_t start[32];       // bias + rounding of the pre-shift
  int32_t pre_shift[32];
  int16_t multiplier[32];     // high, whole
  int16_t high_start[32];     // high: the zero point in steps of 2^(32 - shift)
  int16_t high_scale[32];     // high: 2^(31 - shift), which as a factor of a rounded high product shifts by shift - 16
  int16_t adds_whole[32];     // whole: -1 where h is added, else 0
  int16_t pair_constant[32];  // pairs: 1 or -2^14, to be multiplied by ...
  int16_t pair_multiplier[64];  // pairs: ... the odd entries, which makes the rounding; even entries: multipliers (tile order)
  int32_t shift[32];          // pairs
  int32_t addition_a[32], addition_b[32], addition_start[32], addition_shift[32];
};

// All that happens to accumulators.
struct EpilogueData {
  int64_t columns;
  const int32_t* bias;  // or nullptr
  bool requantizes, has_table, adds;
  RequantizeData requantize;
  const uint8_t* table;
  NumberType table_output;
  AdditionData addition;
  NumberType second_type, output_type;
  // For vector kernels; panels cover columns rounded up to 32.
  Route route;
  NumberType code_type;  // that requantized codes are packed to: of the output, of the table's index, or s16 to be added to
  bool clips;            // the requantized range is less than that of code_type
  bool saturating_addition;  // the rescaled addition is a + b with a clip
  bool plain_addition;       // ... that is the saturation of int16, of int16
  const Panel* panels;
};

struct LinearData {
  int64_t inputs, outputs;
  int64_t blocks;  // inputs / 64, rounded up
  int64_t panels;  // outputs / 32, rounded up
  NumberType input_type, weight_type;
  bool four_bit;
  const void* weights;           // panels (avx512vnni/weights.h) for vector kernels, else rows (packed_weights.h)
  const int8_t* weight_offsets;  // of 4-bit weights, to be added to the nibbles: 128 a panel (weights.h), or one a row
  EpilogueData epilogue;
};

// Constants of 32 channels of a LayerNorm, for registers of 32 int16 that keep each lane's even channels before its odd ones
// ("split order": 0 2 4 6 1 3 5 7 in every eight), so that pairs of int16 may be multiplied where they lie.
constexpr int64_t split_order(int64_t position) {
  return position / 8 * 8 + 2 * (position % 4) + position / 4 % 2;
}

struct alignas(64) LayerNormPanel {
  int16_t channel_shift[32];  // natural order
  // With start = bias + rounding = high * 2^16 + low, (n * multiplier + start) >> shift in 16-bit lanes:
  int16_t multiplier[32], start_high[32];
  uint16_t largest_low[32];  // 2^16 - 1 - low: low halves of products above it carry
  int16_t shift[32];         // less 16
  // The same in 32-bit lanes, for panels with small shifts or huge biases: even channels, then odd ones.
  int32_t wide_multiplier[32], wide_start[32], wide_shift[32];
  bool fits_words;
};

struct LayerNormData {
  int64_t channels;
  NumberType input_type, output_type;
  const int32_t *channel_shift, *multiplier, *bias, *shift;
  int32_t zero_x, zero_point, low, high;
  int64_t epsilon;
  int32_t fraction_bits;
  // For vector kernels; panels use pair_multiplier (even entries) and start (bias + rounding) in tile order.
  bool no_channel_shift;
  bool clips;            // the range is less than that of the output's type
  const Panel* panels;   // AVX2
  const LayerNormPanel* split_panels;
};

struct AttentionData {
  int64_t keys, depth, value_depth;
  NumberType query_type, key_type, value_type;
  int32_t zero_query, zero_key, zero_value;
  bool has_addend, requantizes_scores;
  RequantizeData score_requantize;  // arrays of one entry
  AttentionKind kind;
  int32_t pre_shift, multiplier, shift;
  int32_t log2_rounding, value_bits, fraction_bits;
  const int16_t* table;  // of table_softmax, with one entry more that is never used but may be read
  int64_t table_entries;
  RowSoftmax row_softmax;
  RowSoftmaxFunction row_softmax_function;
  bool two_byte_weights;  // of log2_softmax always, of others where a level exceeds 255
  EpilogueData epilogue;
};

struct WordLookupData {
  RowTypes types;
  int32_t offset;
  const int16_t* table;  // with one entry more that is never used but may be read
};

struct RowNormData {
  RowTypes types;
  RowNorm norm;
  const int32_t *channel_shift, *multiplier, *bias, *shift;  // one a channel
  int64_t epsilon;
  int32_t zero_x, zero_point, low, high;
  const uint8_t* root_table;  // of ailayernorm
};

using LinearFunction = void (*)(const LinearData&, int64_t rows, const ConstRows& x, const ConstRows& second, const Rows& out);
using EpilogueFunction = void (*)(const EpilogueData&, NumberType x_type, int64_t rows, const ConstRows& x,
                                  const ConstRows& second, const Rows& out);
using LayerNormFunction = void (*)(const LayerNormData&, int64_t rows, const ConstRows& x, const Rows& out);
using LookupFunction = void (*)(const uint8_t* table, int64_t columns, int64_t rows, const ConstRows& x, const Rows& out);
using WordLookupFunction = void (*)(const WordLookupData&, int64_t rows, const ConstRows& x, const Rows& out);

struct AttentionFunctions {
  size_t (*packed_bytes)(const AttentionData&);
  void (*pack)(const AttentionData&, const ConstRows& k, const ConstRows& v, void* packed);
  void (*run)(const AttentionData&, int64_t rows, const ConstRows& q, const void* packed, const ConstRows& addend,
              const Rows& out);
};

using RowNormFunction = void (*)(const RowNormData&, int64_t rows, const ConstRows& x, const Rows& out);
using RowGeluFunction = void (*)(const RowGelu&, const RowTypes&, int64_t rows, const ConstRows& x, const Rows& out);

// The kernels in rows/ as compiled for one instruction set.
struct RowFunctions {
  RowSoftmaxFunction softmax[static_cast<int>(RowSoftmaxKind::count)];
  RowNormFunction norm[static_cast<int>(RowNormKind::count)];
  RowGeluFunction gelu[static_cast<int>(RowGeluKind::count)];
};

}  // namespace detail
}  // namespace fullint
