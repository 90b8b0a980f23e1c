#include "avx2/softmax.h"

#include "avx2/epilogue.h"
#include "avx2/gather.h"

namespace fullint::detail {
namespace {

// softmax_parts.distances_below_maximum for 16 scores.
class Distances {
 public:
  Distances(const AttentionData& data, int32_t maximum) {
    const uint32_t pre_rounding = (uint32_t{1} << data.pre_shift) >> 1;
    start_ = _mm256_set1_epi32(static_cast<int32_t>(static_cast<uint32_t>(maximum) + pre_rounding));
    pre_shift_ = _mm_cvtsi32_si128(data.pre_shift);
    shift_ = _mm_cvtsi32_si128(data.shift);
    // Rounding enters as one more product of a pair, see set_pair in epilogue_constants.cpp.
    const int32_t rounding = (1 << data.shift) >> 1;
    const bool small = data.shift <= 15;
    constant_ = _mm256_set1_epi16(static_cast<int16_t>(small ? 1 : -(1 << 14)));
    const auto other = static_cast<uint32_t>(small ? rounding : -(rounding >> 14));
    multiplier_ = _mm256_set1_epi32(static_cast<int32_t>(other << 16 | static_cast<uint32_t>(data.multiplier)));
  }

  __m256i operator()(const HalfAccumulators& scores) const {
    const __m256i below = _mm256_packs_epi32(_mm256_sra_epi32(_mm256_sub_epi32(start_, scores.first), pre_shift_),
                                             _mm256_sra_epi32(_mm256_sub_epi32(start_, scores.second), pre_shift_));
    const __m256i first = _mm256_madd_epi16(_mm256_unpacklo_epi16(below, constant_), multiplier_);
    const __m256i last = _mm256_madd_epi16(_mm256_unpackhi_epi16(below, constant_), multiplier_);
    return _mm256_packs_epi32(_mm256_sra_epi32(first, shift_), _mm256_sra_epi32(last, shift_));
  }

 private:
  __m256i start_, constant_, multiplier_;
  __m128i pre_shift_, shift_;
};

__m256i low_halves(__m256i words) { return _mm256_and_si256(words, _mm256_set1_epi32(0xffff)); }
__m256i high_halves(__m256i words) { return _mm256_srli_epi32(words, 16); }

// softmax_parts.exponentials
__m256i exponentials(__m256i distances, const Exponential& of) {
  const __m256i fraction = _mm256_slli_epi16(distances, 6), whole = _mm256_srli_epi16(distances, 10);
  const __m256i curved = _mm256_mulhi_epu16(fraction, _mm256_set1_epi16(static_cast<int16_t>(of.curvature)));
  const __m256i inner = _mm256_sub_epi16(_mm256_set1_epi16(static_cast<int16_t>(of.slope)), curved);
  const __m256i mantissa =
      _mm256_sub_epi16(_mm256_set1_epi16(static_cast<int16_t>(of.amplitude)), _mm256_mulhi_epu16(fraction, inner));
  // There is no shift of 16-bit lanes by counts of their own.
  const __m256i low = _mm256_srlv_epi32(low_halves(mantissa), low_halves(whole));
  const __m256i high = _mm256_srlv_epi32(high_halves(mantissa), high_halves(whole));
  return _mm256_or_si256(low, _mm256_slli_epi32(high, 16));
}

int32_t maximum_of(const int32_t* scores, int64_t count) {
  __m256i largest = _mm256_load_si256(reinterpret_cast<const __m256i*>(scores));
  for (int64_t i = 8; i < count; i += 8)
    largest = _mm256_max_epi32(largest, _mm256_load_si256(reinterpret_cast<const __m256i*>(scores + i)));
  alignas(32) int32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), largest);
  int32_t result = lanes[0];
  for (int32_t lane : lanes) result = lane > result ? lane : result;
  return result;
}

// Zeros the words of keys that do not exist.
__m256i keep(int64_t key, int64_t keys, __m256i words) {
  if (key + 16 <= keys) return words;
  alignas(32) static const int16_t ones_then_zeros[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
  const int64_t left = most(keys - key, 0);
  return _mm256_and_si256(words, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(ones_then_zeros + 16 - left)));
}

// Adds unsigned words to int32 lanes.
__m256i add_words(__m256i sums, __m256i words) {
  return _mm256_add_epi32(sums, _mm256_add_epi32(low_halves(words), high_halves(words)));
}

int64_t total(__m256i sums) {
  alignas(32) uint32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sums);
  int64_t result = 0;
  for (uint32_t lane : lanes) result += lane;
  return result;
}

void store_words(void* to, int64_t index, __m256i words) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(static_cast<int16_t*>(to) + index), words);
}

template <typename Code>
int64_t store_codes(int64_t padded_keys, int64_t keys, int16_t* weights, const Code& code) {
  __m256i sums = _mm256_setzero_si256();
  for (int64_t key = 0; key < padded_keys; key += 16) {
    const __m256i words = keep(key, keys, code(key));
    store_words(weights, key, words);
    sums = add_words(sums, words);
  }
  return total(sums);
}

int64_t softmax_codes(int64_t padded_keys, int64_t keys, int64_t row_sum, const uint16_t* distances, int16_t* weights) {
  const MantissaExponent inverse = reciprocal(row_sum);
  const int32_t shift = inverse.exponent - 8;  // at least 21
  const __m256i factor = _mm256_set1_epi16(static_cast<int16_t>((inverse.mantissa * 255) >> 8));
  const __m256i rounding = _mm256_set1_epi16(static_cast<int16_t>(shift > 31 ? 0 : 1 << (shift - 17)));
  const __m128i count = _mm_cvtsi32_si128(shift > 31 ? 16 : shift - 16);
  return store_codes(padded_keys, keys, weights, [&](int64_t key) {
    const __m256i values = exponentials(_mm256_load_si256(reinterpret_cast<const __m256i*>(distances + key)), exponential_15_bits);
    return _mm256_srl_epi16(_mm256_add_epi16(_mm256_mulhi_epu16(values, factor), rounding), count);
  });
}

// Codes k become the words 2^(7 - k), k < 8, and 2^(15 - k), k >= 8.
int64_t log2_weights(int64_t padded_keys, int64_t keys, int32_t offset, const uint16_t* distances, int16_t* weights) {
  const __m256i start = _mm256_set1_epi16(static_cast<int16_t>(offset)), largest = _mm256_set1_epi16(15);
  const __m256i low_bytes = _mm256_set1_epi16(255);
  const __m256i high_powers = _mm256_broadcastsi128_si256(_mm_setr_epi8(-128, 64, 32, 16, 8, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0));
  const __m256i low_powers = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, -128, 64, 32, 16, 8, 4, 2, 1));
  __m256i high_sums = _mm256_setzero_si256(), low_sums = high_sums;
  for (int64_t key = 0; key < padded_keys; key += 16) {
    const __m256i sums = _mm256_add_epi16(_mm256_load_si256(reinterpret_cast<const __m256i*>(distances + key)), start);
    const __m256i codes = _mm256_min_epu16(_mm256_srli_epi16(sums, 10), largest);
    const __m256i high = keep(key, keys, _mm256_and_si256(_mm256_shuffle_epi8(high_powers, codes), low_bytes));
    const __m256i low = keep(key, keys, _mm256_and_si256(_mm256_shuffle_epi8(low_powers, codes), low_bytes));
    store_words(weights, key, high);
    store_words(weights, padded_keys + key, low);
    high_sums = add_words(high_sums, high);
    low_sums = add_words(low_sums, low);
  }
  return total(high_sums) * 256 + total(low_sums);
}

__m256i levels_of(const AttentionData& data, __m256i logarithms) {
  const __m256i last = _mm256_set1_epi16(static_cast<int16_t>(least(data.table_entries, 65536) - 1));
  return gather_words(data.table, _mm256_min_epu16(logarithms, last));
}

// Panels of 32 scores from tile order to natural order, in place.
void to_natural_order(int64_t padded_keys, int32_t* scores) {
  for (int64_t key = 0; key < padded_keys; key += 32) {
    const HalfAccumulators low = load_half(scores + key, 0), high = load_half(scores + key, 1);
    auto* to = reinterpret_cast<__m256i*>(scores + key);
    _mm256_store_si256(to, _mm256_permute2x128_si256(low.first, low.second, 0x20));
    _mm256_store_si256(to + 1, _mm256_permute2x128_si256(low.first, low.second, 0x31));
    _mm256_store_si256(to + 2, _mm256_permute2x128_si256(high.first, high.second, 0x20));
    _mm256_store_si256(to + 3, _mm256_permute2x128_si256(high.first, high.second, 0x31));
  }
}

int64_t row_weights(const AttentionData& data, int64_t padded_keys, int32_t* scores, uint16_t* results, int16_t* weights) {
  to_natural_order(padded_keys, scores);
  data.row_softmax_function(data.row_softmax, {data.pre_shift, data.multiplier, data.shift}, data.keys, scores, results);
  const auto result_at = [&](int64_t key) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(results + key)); };
  if (!has_two_parts(data)) return store_codes(padded_keys, data.keys, weights, result_at);
  const __m256i low_bytes = _mm256_set1_epi16(255);
  const int64_t high = store_codes(padded_keys, data.keys, weights, [&](int64_t key) { return _mm256_srli_epi16(result_at(key), 8); });
  return 256 * high + store_codes(padded_keys, data.keys, weights + padded_keys,
                                  [&](int64_t key) { return _mm256_and_si256(result_at(key), low_bytes); });
}

}  // namespace

int64_t softmax_row_avx2(const AttentionData& data, int32_t* scores, int16_t* weights, uint16_t* distances) {
  const int64_t keys = data.keys, padded_keys = (keys + 31) / 32 * 32;
  if (data.kind == AttentionKind::row_softmax) return row_weights(data, padded_keys, scores, distances, weights);
  const Distances distances_of(data, maximum_of(scores, padded_keys));
  const auto distances_at = [&](int64_t key) { return distances_of(load_half(scores + key / 32 * 32, key / 16 % 2)); };
  if (data.kind == AttentionKind::exponentials)
    return store_codes(padded_keys, keys, weights, [&](int64_t key) {
      const __m256i values = exponentials(distances_at(key), exponential_codes);
      return _mm256_srli_epi16(_mm256_add_epi16(values, _mm256_set1_epi16(128)), 8);
    });
  __m256i sums = _mm256_setzero_si256();
  for (int64_t key = 0; key < padded_keys; key += 16) {
    const __m256i words = distances_at(key);
    store_words(distances, key, words);
    sums = add_words(sums, keep(key, keys, exponentials(words, exponential_15_bits)));
  }
  const int64_t row_sum = total(sums);
  if (data.kind == AttentionKind::softmax) return softmax_codes(padded_keys, keys, row_sum, distances, weights);
  const int32_t log2_sum = log2_fixed_10(row_sum) - (15 << 10);
  if (data.kind == AttentionKind::table_softmax)
    return store_codes(padded_keys, keys, weights, [&](int64_t key) {
      const __m256i words = _mm256_load_si256(reinterpret_cast<const __m256i*>(distances + key));
      return levels_of(data, _mm256_add_epi16(words, _mm256_set1_epi16(static_cast<int16_t>(log2_sum))));
    });
  return log2_weights(padded_keys, keys, log2_sum + data.log2_rounding, distances, weights);
}

}  // namespace fullint::detail
