// Attention of one head, portable: a row of scores at a time, k and v widened once.
#include <algorithm>
#include <vector>

#include "fixed_point.h"
#include "portable.h"

namespace fullint::detail {
namespace {

// packed: k - zero (keys, depth) as s16, then v - zero (keys, value_depth) as s16.
size_t packed_bytes(const AttentionData& data) {
  return static_cast<size_t>(data.keys * (data.depth + data.value_depth)) * sizeof(int16_t);
}

int16_t* widen(int64_t rows, int64_t columns, const ConstRows& from, NumberType type, int32_t zero, int16_t* to) {
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      *to++ = static_cast<int16_t>(load(row_of(from, type, row), type, column) - zero);
  return to;
}

void pack(const AttentionData& data, const ConstRows& k, const ConstRows& v, void* packed) {
  auto* end_of_keys =
      widen(data.keys, data.depth, k, data.key_type, data.zero_key, static_cast<int16_t*>(packed));
  widen(data.keys, data.value_depth, v, data.value_type, data.zero_value, end_of_keys);
}

void score_row(const AttentionData& data, const void* q, const int16_t* keys, const int32_t* addend, int32_t* scores) {
  for (int64_t key = 0; key < data.keys; ++key) {
    int64_t sum = addend != nullptr ? addend[key] : 0;
    for (int64_t column = 0; column < data.depth; ++column)
      sum += (load(q, data.query_type, column) - data.zero_query) * keys[key * data.depth + column];
    if (data.requantizes_scores) {
      const RequantizeData& factors = data.score_requantize;
      sum = requantize(sum, *factors.pre_shift, *factors.multiplier, *factors.shift, factors.intermediate_bits);
      sum = clip(sum + factors.zero_point, factors.low, factors.high);
    }
    scores[key] = static_cast<int32_t>(sum);
  }
}

// One row of scores to what multiplies the values. Returns the sum of the codes, which exponentials are divided by.
int64_t weigh(const AttentionData& data, int32_t* scores, uint8_t* codes, int32_t* weights) {
  if (data.kind == AttentionKind::row_softmax) {
    std::vector<uint16_t> results(static_cast<size_t>(data.keys));
    data.row_softmax_function(data.row_softmax, {data.pre_shift, data.multiplier, data.shift}, data.keys, scores, results.data());
    std::copy(results.begin(), results.end(), weights);
    return 0;
  }
  if (data.kind == AttentionKind::table_softmax) {
    softmax_logarithms_portable(data.keys, scores, data.pre_shift, data.multiplier, data.shift, weights);
    for (int64_t key = 0; key < data.keys; ++key) weights[key] = data.table[least(weights[key], data.table_entries - 1)];
    return 0;
  }
  const int64_t code_sum = softmax_portable(data.kind, data.keys, scores, data.pre_shift, data.multiplier, data.shift,
                                            data.log2_rounding, codes);
  const bool log2 = data.kind == AttentionKind::log2_softmax;
  for (int64_t key = 0; key < data.keys; ++key) weights[key] = log2 ? 1 << (15 - codes[key]) : codes[key];
  return code_sum;
}

void average_row(const AttentionData& data, const int32_t* weights, int64_t code_sum, const int16_t* values, int32_t* out) {
  std::vector<int64_t> sums(static_cast<size_t>(data.value_depth));
  for (int64_t key = 0; key < data.keys; ++key) {
    for (int64_t column = 0; column < data.value_depth; ++column)
      sums[static_cast<size_t>(column)] += int64_t{weights[key]} * values[key * data.value_depth + column];
  }
  const bool divides = data.kind == AttentionKind::exponentials;
  const AverageFactor factor =
      divides ? average_factor(code_sum, data.value_bits, data.fraction_bits) : AverageFactor{0, 0, 0};
  for (int64_t column = 0; column < data.value_depth; ++column) {
    const int64_t sum = sums[static_cast<size_t>(column)];
    out[column] = static_cast<int32_t>(
        divides ? requantize(sum, factor.pre_shift, factor.multiplier, factor.shift, 16) : sum);
  }
}

void run(const AttentionData& data, int64_t rows, const ConstRows& q, const void* packed, const ConstRows& addend,
         const Rows& out) {
  const auto* keys = static_cast<const int16_t*>(packed);
  const int16_t* values = keys + data.keys * data.depth;
  std::vector<int32_t> scores(static_cast<size_t>(data.keys)), sums(static_cast<size_t>(data.value_depth));
  std::vector<uint8_t> codes(static_cast<size_t>(data.keys));
  std::vector<int32_t> weights(static_cast<size_t>(data.keys));
  for (int64_t row = 0; row < rows; ++row) {
    const auto* addend_row =
        data.has_addend ? static_cast<const int32_t*>(row_of(addend, NumberType::s32, row)) : nullptr;
    score_row(data, row_of(q, data.query_type, row), keys, addend_row, scores.data());
    const int64_t code_sum = weigh(data, scores.data(), codes.data(), weights.data());
    average_row(data, weights.data(), code_sum, values, sums.data());
    finish_portable(data.epilogue, NumberType::s32, 1, {sums.data(), 0}, {},
                    {row_of(out, data.epilogue.output_type, row), 0});
  }
}

}  // namespace

const AttentionFunctions attention_portable{packed_bytes, pack, run};

}  // namespace fullint::detail
