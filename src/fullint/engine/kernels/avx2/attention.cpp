// One head with AVX2: keys and values without their zero points as int16, blocks of 16 query rows.
#include "avx2/avx2.h"

#include <cstring>

#include "avx2/epilogue.h"
#include "avx2/softmax.h"
#include "scratch.h"

namespace fullint::detail {
namespace {

constexpr int64_t block_rows = 16;

struct Sizes {
  int64_t key_panels, depth_pairs, value_panels, key_pairs;
  int64_t key_words, value_words;

  explicit Sizes(const AttentionData& data)
      : key_panels((data.keys + 31) / 32),
        depth_pairs((data.depth + 1) / 2),
        value_panels((data.value_depth + 31) / 32),
        key_pairs(key_panels * 16),
        key_words(key_panels * depth_pairs * 64),
        value_words(value_panels * key_pairs * 64) {}
};

// Where number (depth, column) of a right operand lies.
int64_t packed_index(int64_t pairs, int64_t depth, int64_t column) {
  const int64_t natural = column % 32, position = natural / 4 % 2 * 16 + natural / 8 * 4 + natural % 4;
  return (column / 32 * pairs + depth / 2) * 64 + position * 2 + depth % 2;
}

size_t packed_bytes(const AttentionData& data) {
  const Sizes sizes(data);
  return static_cast<size_t>(sizes.key_words + sizes.value_words) * sizeof(int16_t);
}

// Calls put(column, word) for every number of a row, less a zero point.
template <typename Put>
void each_word(const ConstRows& rows, NumberType type, int64_t row, int64_t columns, int32_t zero, const Put& put) {
  alignas(32) int16_t words[16];
  const __m256i zeros = _mm256_set1_epi16(static_cast<int16_t>(zero));
  for (int64_t first = 0; first < columns; first += 16) {
    const int64_t count = least(16, columns - first);
    const __m256i loaded = load_words_16(element(rows, type, row, first), type, count);
    _mm256_store_si256(reinterpret_cast<__m256i*>(words), _mm256_sub_epi16(loaded, zeros));
    for (int64_t i = 0; i < count; ++i) put(first + i, words[i]);
  }
}

void pack(const AttentionData& data, const ConstRows& k, const ConstRows& v, void* packed) {
  const Sizes sizes(data);
  auto* keys = static_cast<int16_t*>(packed);
  int16_t* values = keys + sizes.key_words;
  std::memset(packed, 0, packed_bytes(data));
  for (int64_t key = 0; key < data.keys; ++key) {
    int16_t* key_column = keys + packed_index(sizes.depth_pairs, 0, key);
    each_word(k, data.key_type, key, data.depth, data.zero_key,
              [&](int64_t i, int16_t word) { key_column[i / 2 * 64 + i % 2] = word; });
    int16_t* value_row = values + packed_index(sizes.key_pairs, key, 0);
    each_word(v, data.value_type, key, data.value_depth, data.zero_value,
              [&](int64_t i, int16_t word) { value_row[packed_index(sizes.key_pairs, 0, i)] = word; });
  }
}

struct Room {
  int32_t *scores, *sums;  // (16, key_panels * 32), (32, value_panels * 32)
  int16_t *queries, *weights;
  uint16_t* distances;
  int64_t score_stride, sum_stride, query_stride, weight_stride;

  Room(const Sizes& sizes) {
    score_stride = sizes.key_panels * 32;
    sum_stride = sizes.value_panels * 32;
    query_stride = (2 * sizes.depth_pairs + 15) / 16 * 16;
    weight_stride = 2 * score_stride;  // log2 weights have two parts
    const int64_t words = block_rows * (2 * score_stride + 4 * sum_stride + query_stride + weight_stride) + score_stride;
    scores = static_cast<int32_t*>(thread_scratch(Scratch::attention, words * 2));
    sums = scores + block_rows * score_stride;
    queries = reinterpret_cast<int16_t*>(sums + 2 * block_rows * sum_stride);
    weights = queries + block_rows * query_stride;
    distances = reinterpret_cast<uint16_t*>(weights + block_rows * weight_stride);
  }
};

// Adds the addend, requantizes, and hides the padding.
void change_scores(const AttentionData& data, const int32_t* addend, int64_t from, int64_t to, int32_t* scores) {
  for (int64_t at = from; at < to; ++at) {
    const int64_t key = at / 32 * 32 + tile_order(at % 32);
    if (key >= data.keys) {
      scores[at] = INT32_MIN;
      continue;
    }
    int64_t score = scores[at] + (addend != nullptr ? int64_t{addend[key]} : 0);
    if (data.requantizes_scores) {
      const RequantizeData& factors = data.score_requantize;
      score = requantize(score, *factors.pre_shift, *factors.multiplier, *factors.shift, factors.intermediate_bits);
      score = clip(score + factors.zero_point, factors.low, factors.high);
    }
    scores[at] = static_cast<int32_t>(score);
  }
}

// One row's sums to averages, or high and low parts to sums, in place.
void finish_sums(const AttentionData& data, int64_t weight_sum, int64_t panels, const int32_t* low, int32_t* sums) {
  if (has_two_parts(data))
    for (int64_t i = 0; i < panels * 32; ++i) sums[i] = sums[i] * 256 + low[i];
  if (data.kind != AttentionKind::exponentials) return;
  const AverageFactor factor = average_factor(weight_sum, data.value_bits, data.fraction_bits);
  const __m256i pre_rounding = _mm256_set1_epi32((1 << factor.pre_shift) >> 1), rounding = _mm256_set1_epi32((1 << factor.shift) >> 1);
  const __m256i low_limit = _mm256_set1_epi32(-32768), high_limit = _mm256_set1_epi32(32767);
  const __m128i pre_shift = _mm_cvtsi32_si128(factor.pre_shift), shift = _mm_cvtsi32_si128(factor.shift);
  for (int64_t i = 0; i < panels * 32; i += 8) {
    auto* eight = reinterpret_cast<__m256i*>(sums + i);
    __m256i values = _mm256_sra_epi32(_mm256_add_epi32(_mm256_load_si256(eight), pre_rounding), pre_shift);
    values = _mm256_min_epi32(_mm256_max_epi32(values, low_limit), high_limit);
    values = _mm256_mullo_epi32(values, _mm256_set1_epi32(factor.multiplier));
    _mm256_store_si256(eight, _mm256_sra_epi32(_mm256_add_epi32(values, rounding), shift));
  }
}

void multiply_panels(int64_t rows, const int16_t* left, int64_t left_stride, const int16_t* right, int64_t pairs,
                     int64_t panels, int32_t* out, int64_t out_stride) {
  for (int64_t panel = 0; panel < panels; ++panel)
    multiply_words_avx2(rows, left, left_stride, right + panel * pairs * 64, pairs, out + 32 * panel, out_stride);
}

void run_block(const AttentionData& data, const Sizes& sizes, const Room& room, const int16_t* keys, int64_t rows,
               const ConstRows& q, const ConstRows& addend, int64_t row, const Rows& out) {
  for (int64_t i = 0; i < rows; ++i) {
    int16_t* to = room.queries + i * room.query_stride;
    each_word(q, data.query_type, row + i, data.depth, data.zero_query,
              [&](int64_t column, int16_t word) { to[column] = word; });
    if (data.depth % 2 != 0) to[data.depth] = 0;
  }
  multiply_panels(rows, room.queries, room.query_stride, keys, sizes.depth_pairs, sizes.key_panels, room.scores,
                  room.score_stride);
  // Unless all scores change, only the last panel's padding does.
  const int64_t first_change = data.has_addend || data.requantizes_scores ? 0 : data.keys / 32 * 32;
  int64_t weight_sums[block_rows];
  for (int64_t i = 0; i < rows; ++i) {
    int32_t* scores = room.scores + i * room.score_stride;
    const auto* addend_row =
        data.has_addend ? static_cast<const int32_t*>(row_of(addend, NumberType::s32, row + i)) : nullptr;
    change_scores(data, addend_row, first_change, room.score_stride, scores);
    weight_sums[i] = softmax_row_avx2(data, scores, room.weights + i * room.weight_stride, room.distances);
  }
  const int16_t* values = keys + sizes.key_words;
  int32_t* low_sums = room.sums + block_rows * room.sum_stride;
  multiply_panels(rows, room.weights, room.weight_stride, values, sizes.key_pairs, sizes.value_panels, room.sums, room.sum_stride);
  if (has_two_parts(data))
    multiply_panels(rows, room.weights + room.score_stride, room.weight_stride, values, sizes.key_pairs, sizes.value_panels,
                    low_sums, room.sum_stride);
  for (int64_t i = 0; i < rows; ++i)
    finish_sums(data, weight_sums[i], sizes.value_panels, low_sums + i * room.sum_stride, room.sums + i * room.sum_stride);
  for (int64_t panel = 0; panel < sizes.value_panels; ++panel)
    finish_panel_avx2(data.epilogue, panel, room.sums + 32 * panel, room.sum_stride, row, rows, {}, out);
}

void run(const AttentionData& data, int64_t rows, const ConstRows& q, const void* packed, const ConstRows& addend,
         const Rows& out) {
  const Sizes sizes(data);
  const Room room(sizes);
  for (int64_t row = 0; row < rows; row += block_rows)
    run_block(data, sizes, room, static_cast<const int16_t*>(packed), least(block_rows, rows - row), q, addend, row, out);
}

}  // namespace

const AttentionFunctions attention_avx2{packed_bytes, pack, run};

}  // namespace fullint::detail
