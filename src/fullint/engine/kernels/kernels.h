// The kernels: what the runtime asks for, and what every instruction set answers, bit for bit alike.
//
// The specification is src/fullint/integer/ops/*.py. A kernel is made once, when a program is loaded (its constants are
// copied and its weights packed: nothing of a Spec is needed afterwards), and is then const: any number of threads may run
// it at once, each on rows of its own. Kernels start no threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "isa.h"
#include "row_operations.h"
#include "types.h"

namespace fullint {

// fixed_point.requantize, then zero point and clip. Vectors hold one number, or one a column (output channel).
struct Requantization {
  std::vector<int32_t> pre_shift, multiplier, shift;
  int intermediate_bits = 16;  // 16 (the fast form) or 32 (exact)
  int32_t zero_point = 0, low = 0, high = 0;
};

// ops/rescaled_add.py. Vectors hold one number, or one a column.
struct RescaledAddition {
  std::vector<int32_t> multiplier_a, multiplier_b, shift;
  int32_t zero_a = 0, zero_b = 0, zero_point = 0, low = 0, high = 0;
};

// A kernel from rows to rows. `second` is read only by kernels that add a second operand. `out` may be the same memory as
// `second` (an addition in place, same type and stride), and as `x` in elementwise kernels of equal types.
class RowKernel {
 public:
  virtual ~RowKernel() = default;
  virtual void run(int64_t rows, ConstRows x, ConstRows second, Rows out) const = 0;
  virtual size_t bytes() const { return 0; }  // memory held: packed weights and constants
};

// x (rows, inputs) times weights (outputs, inputs), + bias; then, in this order, whichever are given:
// requantization -> 256-entry table -> rescaled addition.
struct LinearSpec {
  int64_t inputs = 0, outputs = 0;
  NumberType input_type = NumberType::u8;
  // Row-major (outputs, inputs). Those of s8 whose rows, together with zero, span at most 15 are kept two to a byte.
  const void* weights = nullptr;
  NumberType weight_type = NumberType::s8;  // s8 is fast; anything else takes the portable path
  std::vector<int32_t> bias;  // one an output
  std::optional<Requantization> requantization;  // without it, out holds the s32 accumulators
  // table[code as a byte]: from a requantized code in u8 or s8 to a byte. Needs a requantization.
  std::optional<std::array<uint8_t, 256>> table;
  NumberType table_output = NumberType::u8;  // how the table's bytes are to be read
  // a: the value so far; b: `second`. Needs a requantization.
  std::optional<RescaledAddition> addition;
  NumberType second_type = NumberType::s16;
  NumberType output_type = NumberType::s32;
};

struct RequantizeSpec {
  int64_t columns = 0;
  NumberType input_type = NumberType::s32, output_type = NumberType::u8;
  Requantization requantization;
};

struct RescaledAddSpec {  // a: x, b: second
  int64_t columns = 0;
  NumberType a_type = NumberType::s16, b_type = NumberType::s16, output_type = NumberType::s16;
  RescaledAddition addition;
};

// table[code as a byte] for byte-sized codes.
struct LookupSpec {
  int64_t columns = 0;
  std::array<uint8_t, 256> table{};
};

// table[x - offset], of any types but s32.
struct WordLookupSpec {
  RowTypes types;
  int32_t offset = 0;
  std::vector<int16_t> table;  // at most 2^16 entries
};

// ops/layer_norm.py, and those that differ by a RowNorm.
struct LayerNormSpec {
  int64_t channels = 0;
  NumberType input_type = NumberType::s16, output_type = NumberType::u8;
  std::vector<int32_t> channel_shift, multiplier, bias, shift;  // one a channel each
  int32_t zero_x = 0;
  int64_t epsilon = 1;
  int32_t zero_point = 0, low = 0, high = 0;
};

// One head: (q - zero_q)(k - zero_k)^T [+ addend] [-> score_requantization] -> softmax -> product with v - zero_v
// [-> output requantization]. Heads whose factors agree may share a kernel.
struct AttentionSpec {
  int64_t keys = 0;         // tokens of k and v
  int64_t depth = 0;        // columns of q and k
  int64_t value_depth = 0;  // columns of v and out
  NumberType query_type = NumberType::s8, key_type = NumberType::s8, value_type = NumberType::s8;  // u8 or s8
  int32_t zero_query = 0, zero_key = 0, zero_value = 0;
  bool has_addend = false;
  std::optional<Requantization> score_requantization;  // scalar factors; high - low <= 255
  AttentionKind kind = AttentionKind::exponentials;
  ScalarFactor factor;
  int32_t log2_rounding = 0;                  // log2_softmax
  std::vector<int16_t> table;                 // table_softmax: levels from 0 to 2^15 - 1
  RowSoftmax row_softmax;                     // row_softmax
  int32_t value_bits = 7, fraction_bits = 7;  // weighted_average
  std::optional<Requantization> requantization;  // of the output; factors one number, or one a column
  NumberType output_type = NumberType::u8;       // s32 or s16 without a requantization
};

class Attention {
 public:
  virtual ~Attention() = default;
  // Bytes of `packed` (64-byte aligned), one image's one head.
  virtual size_t packed_bytes() const = 0;
  // Once a head; k (keys, depth), v (keys, value_depth).
  virtual void pack(ConstRows k, ConstRows v, void* packed) const = 0;
  // Any number of query rows, as often as wanted, from several threads at once.
  // addend: s32 (rows, keys), read if has_addend.
  virtual void run(int64_t rows, ConstRows q, const void* packed, ConstRows addend, Rows out) const = 0;
};

// Factories. They take every combination that the operations' type rules allow; unusual ones run portable code.
struct Kernels {
  Isa isa;
  std::unique_ptr<const RowKernel> linear(const LinearSpec&) const;
  std::unique_ptr<const RowKernel> requantize(const RequantizeSpec&) const;
  std::unique_ptr<const RowKernel> rescaled_add(const RescaledAddSpec&) const;
  std::unique_ptr<const RowKernel> lookup(const LookupSpec&) const;
  std::unique_ptr<const RowKernel> word_lookup(const WordLookupSpec&) const;
  std::unique_ptr<const RowKernel> layer_norm(const LayerNormSpec&) const;
  std::unique_ptr<const RowKernel> row_norm(const LayerNormSpec&, const RowNorm&) const;
  std::unique_ptr<const RowKernel> row_gelu(const RowTypes&, const RowGelu&) const;
  std::unique_ptr<const Attention> attention(const AttentionSpec&) const;
  detail::RowSoftmaxFunction row_softmax(RowSoftmaxKind) const;
};

const Kernels& select_kernels(Isa isa);

}  // namespace fullint
