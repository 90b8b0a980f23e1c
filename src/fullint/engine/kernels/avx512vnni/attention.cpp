// One head: blocks of a few query rows through scores, softmax, product with the values, and requantization.
#include "avx512vnni/attention.h"

#include <cstring>

#include "avx512vnni/epilogue.h"
#include "fixed_point.h"
#include "scratch.h"

namespace fullint::detail {
namespace {

constexpr int64_t block_rows = 24;  // at most, of any unit

// Everything a block needs, in this thread's scratch.
struct Room {
  int32_t* scores;      // (block_rows, key_panels * 32)
  int32_t* sums;        // (block_rows, value_panels * 32), and again for the low bytes of two-byte weights
  uint8_t* weights;     // (block_rows, key_blocks * 64), twice a row for two-byte weights
  uint16_t* distances;  // one row
  uint8_t* queries;     // (block_rows, depth_blocks * 64), where rows must be padded
  int64_t score_stride, weight_stride;

  Room(const AttentionSizes& sizes, bool two_bytes) {
    score_stride = sizes.key_panels * 32;
    weight_stride = sizes.key_blocks * 64 * (two_bytes ? 2 : 1);
    const int64_t score_bytes = block_rows * score_stride * 4, sum_bytes = block_rows * sizes.value_panels * 32 * 4;
    const int64_t weight_bytes = block_rows * weight_stride, distance_bytes = sizes.key_blocks * 128;
    const int64_t query_bytes = block_rows * sizes.depth_blocks * 64;
    auto* memory = static_cast<char*>(
        thread_scratch(Scratch::attention, score_bytes + 2 * sum_bytes + weight_bytes + distance_bytes + query_bytes));
    scores = reinterpret_cast<int32_t*>(memory);
    sums = reinterpret_cast<int32_t*>(memory += score_bytes);
    weights = reinterpret_cast<uint8_t*>(memory += 2 * sum_bytes);
    distances = reinterpret_cast<uint16_t*>(memory += weight_bytes);
    queries = reinterpret_cast<uint8_t*>(memory += distance_bytes);
  }
};

// Adds the row term and the addend and requantizes, where scores need it between product and softmax.
class ScoreChanges {
 public:
  ScoreChanges(const AttentionData& data, const MatrixUnit& unit)
      : data_(data), zero_key_(data.zero_key - right_offset(unit, data.key_type)) {
    // Without the row term a score is the sum of (q - zero) k, plus depth times both zeros.
    const int64_t zero_query = data.zero_query + left_offset(unit, data.query_type);
    const int64_t largest_query = 255 + magnitude(zero_query);
    const int64_t worst = data.depth * (largest_query * 255 + magnitude(zero_query * zero_key_));
    // Softmaxes in rows/ may take scores as they are, and not only their differences.
    const bool is_read = data.has_addend || data.requantizes_scores || data.kind == AttentionKind::row_softmax;
    has_row_term_ = zero_key_ != 0 && (is_read || worst > INT32_MAX);
  }

  bool any() const { return data_.has_addend || data_.requantizes_scores || has_row_term_; }

  // What the scores' constant terms leave out: the same for a whole row, so that a softmax of just these scores does
  // without, as long as they stay in int32.
  int32_t row_term(const MatrixUnit& unit, const void* query) const {
    if (!has_row_term_) return 0;
    int64_t sum = data_.depth * left_offset(unit, data_.query_type);
    for (int64_t column = 0; column < data_.depth; ++column) sum += load(query, data_.query_type, column);
    return static_cast<int32_t>(-zero_key_ * sum);
  }

  void apply(int32_t row_term, const int32_t* addend, int32_t* scores) const {
    const __m512i term = _mm512_set1_epi32(row_term);
    for (int64_t key = 0; key < data_.keys; key += 32) {
      Accumulators values = load_accumulators(scores + key);
      values = {_mm512_add_epi32(values.first, term), _mm512_add_epi32(values.second, term)};
      if (addend != nullptr) {
        const uint32_t mask = columns_mask(data_.keys - key);
        const Accumulators more =
            to_tile_order(_mm512_maskz_loadu_epi32(static_cast<__mmask16>(mask), addend + key),
                          _mm512_maskz_loadu_epi32(static_cast<__mmask16>(mask >> 16), addend + key + 16));
        values = {_mm512_add_epi32(values.first, more.first), _mm512_add_epi32(values.second, more.second)};
      }
      if (data_.requantizes_scores) values = {requantized(values.first), requantized(values.second)};
      _mm512_store_si512(scores + key, values.first);
      _mm512_store_si512(scores + key + 16, values.second);
    }
  }

 private:
  __m512i requantized(__m512i values) const {
    const RequantizeData& factors = data_.score_requantize;
    const auto shifted = [](__m512i x, int32_t shift) {
      const __m512i rounding = _mm512_set1_epi32(static_cast<int32_t>((uint32_t{1} << shift) >> 1));
      return _mm512_sra_epi32(_mm512_add_epi32(x, rounding), _mm_cvtsi32_si128(shift));
    };
    values = shifted(values, *factors.pre_shift);
    values = _mm512_min_epi32(_mm512_max_epi32(values, _mm512_set1_epi32(-32768)), _mm512_set1_epi32(32767));
    values = shifted(_mm512_mullo_epi32(values, _mm512_set1_epi32(*factors.multiplier)), *factors.shift);
    values = _mm512_add_epi32(values, _mm512_set1_epi32(factors.zero_point));
    return _mm512_min_epi32(_mm512_max_epi32(values, _mm512_set1_epi32(factors.low)), _mm512_set1_epi32(factors.high));
  }

  static int64_t magnitude(int64_t value) { return value < 0 ? -value : value; }

  const AttentionData& data_;
  int32_t zero_key_;
  bool has_row_term_;
};

// Puts INT32_MIN after the last key of a row.
class Padding {
 public:
  explicit Padding(int64_t keys) : panel_(keys / 32 * 32) {
    if (keys % 32 == 0) return;
    const __m512i natural = _mm512_setr_epi32(0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    const __m512i last = _mm512_set1_epi32(static_cast<int32_t>(keys % 32 - 1));
    first_ = _mm512_cmpgt_epi32_mask(natural, last);
    second_ = _mm512_cmpgt_epi32_mask(_mm512_add_epi32(natural, _mm512_set1_epi32(4)), last);
  }
  void hide(int32_t* scores) const {
    if (second_ == 0) return;
    const __m512i least_score = _mm512_set1_epi32(INT32_MIN);
    _mm512_mask_storeu_epi32(scores + panel_, first_, least_score);
    _mm512_mask_storeu_epi32(scores + panel_ + 16, second_, least_score);
  }

 private:
  int64_t panel_;
  __mmask16 first_ = 0, second_ = 0;
};

// sums (one row, in tile order) to averages, in place.
void average(const AttentionData& data, int64_t panels, int64_t weight_sum, __m512i zero_term, int32_t* sums) {
  const AverageFactor factor = average_factor(weight_sum, data.value_bits, data.fraction_bits);
  const __m512i start = _mm512_sub_epi32(_mm512_set1_epi32((1 << factor.pre_shift) >> 1), zero_term);
  const __m512i rounding = _mm512_set1_epi32((1 << factor.shift) >> 1), multiplier = _mm512_set1_epi32(factor.multiplier);
  const __m128i pre_shift = _mm_cvtsi32_si128(factor.pre_shift), shift = _mm_cvtsi32_si128(factor.shift);
  for (int64_t panel = 0; panel < panels; ++panel, sums += 32) {
    const Accumulators values = load_accumulators(sums);
    const __m512i words = _mm512_packs_epi32(_mm512_sra_epi32(_mm512_add_epi32(values.first, start), pre_shift),
                                             _mm512_sra_epi32(_mm512_add_epi32(values.second, start), pre_shift));
    Accumulators result;
    if (factor.shift == 15) {
      result = widen(_mm512_mulhrs_epi16(words, _mm512_set1_epi16(static_cast<int16_t>(factor.multiplier))));
    } else {
      const Accumulators wide = widen(words);
      result = {_mm512_sra_epi32(_mm512_add_epi32(_mm512_mullo_epi32(wide.first, multiplier), rounding), shift),
                _mm512_sra_epi32(_mm512_add_epi32(_mm512_mullo_epi32(wide.second, multiplier), rounding), shift)};
    }
    _mm512_store_si512(sums, result.first);
    _mm512_store_si512(sums + 16, result.second);
  }
}

// sums (high * 256 + low) - zero_term, in place.
void combine(int64_t panels, __m512i zero_term, const int32_t* low, int32_t* sums) {
  for (int64_t column = 0; column < panels * 32; column += 16) {
    __m512i values = _mm512_load_si512(sums + column);
    if (low != nullptr) values = _mm512_add_epi32(_mm512_slli_epi32(values, 8), _mm512_load_si512(low + column));
    _mm512_store_si512(sums + column, _mm512_sub_epi32(values, zero_term));
  }
}

struct Head {
  const AttentionData& data;
  const MatrixUnit& unit;
  const AttentionSizes sizes;
  const char* packed;
  const Room room;

  const int8_t* keys() const { return reinterpret_cast<const int8_t*>(packed); }
  const int32_t* terms() const { return reinterpret_cast<const int32_t*>(packed + sizes.keys_bytes); }
  const int8_t* values() const { return keys() + sizes.keys_bytes + sizes.terms_bytes; }
  bool has_terms() const { return data.zero_query + left_offset(unit, data.query_type) != 0; }

  void scores_of(int64_t height, const uint8_t* q, int64_t stride) const {
    if (data.depth % 64 != 0) {
      const int64_t padded = sizes.depth_blocks * 64;
      for (int64_t row = 0; row < height; ++row) {
        std::memcpy(room.queries + row * padded, q + row * stride, static_cast<size_t>(data.depth));
        std::memset(room.queries + row * padded + data.depth, 0, static_cast<size_t>(padded - data.depth));
      }
      q = room.queries;
      stride = padded;
    }
    unit.product(height, q, stride, data.query_type == NumberType::s8, keys(),
                 data.key_type == NumberType::s8 || !unit.takes_any_signs, sizes.key_panels, sizes.depth_blocks,
                 has_terms() ? terms() : nullptr,
                 room.scores, room.score_stride);
  }

  void weigh_values(int64_t height, const uint8_t* weights, int32_t* sums) const {
    unit.product(height, weights, room.weight_stride, false, values(),
                 data.value_type == NumberType::s8 || !unit.takes_any_signs, sizes.value_panels, sizes.key_blocks, nullptr,
                 sums, sizes.value_panels * 32);
  }

  void finish_row(int64_t row, int64_t weight_sum) const {
    const int64_t stride = sizes.value_panels * 32;
    int32_t* sums = room.sums + row * stride;
    const int32_t zero_value = data.zero_value - right_offset(unit, data.value_type);
    const __m512i zero_term = _mm512_set1_epi32(static_cast<int32_t>(zero_value * weight_sum));
    if (data.kind == AttentionKind::exponentials)
      average(data, sizes.value_panels, weight_sum, zero_term, sums);
    else if (data.two_byte_weights || zero_value != 0)
      combine(sizes.value_panels, zero_term, data.two_byte_weights ? sums + block_rows * stride : nullptr, sums);
  }

  void run(int64_t height, const ConstRows& q, const ConstRows& addend, int64_t row, const Rows& out) const {
    const auto* queries = static_cast<const uint8_t*>(q.data) + row * q.row_stride;
    scores_of(height, queries, q.row_stride);
    const ScoreChanges changes(data, unit);
    const Padding padding(data.keys);
    // All maxima first: each takes a dozen dependent steps, which those of other rows can fill.
    int32_t maxima[block_rows];
    int64_t weight_sums[block_rows];
    for (int64_t i = 0; i < height; ++i) {
      int32_t* scores = room.scores + i * room.score_stride;
      if (changes.any()) {
        const auto* addend_row =
            data.has_addend ? static_cast<const int32_t*>(row_of(addend, NumberType::s32, row + i)) : nullptr;
        changes.apply(changes.row_term(unit, queries + i * q.row_stride), addend_row, scores);
      }
      padding.hide(scores);
      maxima[i] = row_maximum_avx512(data, scores);
    }
    for (int64_t i = 0; i < height; ++i)
      weight_sums[i] = softmax_row_avx512(data, maxima[i], room.scores + i * room.score_stride,
                                          room.weights + i * room.weight_stride, room.distances);
    const int64_t stride = sizes.value_panels * 32;
    weigh_values(height, room.weights, room.sums);
    if (data.two_byte_weights) weigh_values(height, room.weights + sizes.key_blocks * 64, room.sums + block_rows * stride);
    for (int64_t i = 0; i < height; ++i) finish_row(i, weight_sums[i]);
    finish_values_avx512(data.epilogue, room.sums, stride, row, height, out);
  }
};

}  // namespace

void attention_run_avx512(const AttentionData& data, const MatrixUnit& unit, int64_t rows, const ConstRows& q,
                          const void* packed, const ConstRows& addend, const Rows& out) {
  if (rows == 0) return;
  const AttentionSizes sizes(data);
  const Head head{data, unit, sizes, static_cast<const char*>(packed),
                  Room(sizes, data.two_byte_weights)};
  const int64_t blocks = (rows + unit.largest_height - 1) / unit.largest_height, height = (rows + blocks - 1) / blocks;
  unit.begin(height);
  // Blocks of one height; the last one may do some rows of the one before it again.
  for (int64_t row = 0; row < rows; row += height) head.run(height, q, addend, least(row, rows - height), out);
  unit.end();
}

}  // namespace fullint::detail
