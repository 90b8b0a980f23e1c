// One row of scores to attention weights, 32 at a time in 16-bit lanes.
#include "avx512vnni/attention.h"
#include "avx512vnni/epilogue.h"
#include "avx512vnni/gather.h"
#include "fixed_point.h"

namespace fullint::detail {
namespace {

// softmax_parts.distances_below_maximum for 32 scores.
class Distances {
 public:
  Distances(const AttentionData& data, __m512i maximum) {
    const int32_t pre_rounding = static_cast<int32_t>((uint32_t{1} << data.pre_shift) >> 1);
    start_ = _mm512_add_epi32(maximum, _mm512_set1_epi32(pre_rounding));
    pre_shift_ = _mm512_set1_epi32(data.pre_shift);
    shift_ = _mm512_set1_epi32(data.shift);
    const DistanceFactor factor(data);
    is_simple_ = factor.is_supported();
    fraction_ = _mm512_set1_epi16(static_cast<int16_t>(factor.fraction));
    whole_ = _mm512_set1_epi16(factor.whole == 1 ? -1 : 0);
    // Rounding enters as one more product of a pair, see set_pair in epilogue_constants.cpp.
    const int32_t rounding = (1 << data.shift) >> 1;
    const bool small = data.shift <= 15;
    constant_ = _mm512_set1_epi16(static_cast<int16_t>(small ? 1 : -(1 << 14)));
    const int32_t other = small ? rounding : -(rounding >> 14);
    multiplier_ = _mm512_set1_epi32(static_cast<int32_t>(static_cast<uint32_t>(other) << 16 | static_cast<uint32_t>(data.multiplier)));
  }

  __m512i operator()(const Accumulators& scores) const {
    const __m512i below = _mm512_packs_epi32(_mm512_srav_epi32(_mm512_sub_epi32(start_, scores.first), pre_shift_),
                                             _mm512_srav_epi32(_mm512_sub_epi32(start_, scores.second), pre_shift_));
    if (is_simple_) return _mm512_adds_epi16(_mm512_mulhrs_epi16(below, fraction_), _mm512_and_si512(below, whole_));
    const __m512i first = _mm512_madd_epi16(_mm512_unpacklo_epi16(below, constant_), multiplier_);
    const __m512i last = _mm512_madd_epi16(_mm512_unpackhi_epi16(below, constant_), multiplier_);
    return _mm512_packs_epi32(_mm512_srav_epi32(first, shift_), _mm512_srav_epi32(last, shift_));
  }

 private:
  __m512i start_, constant_, multiplier_, pre_shift_, shift_, fraction_, whole_;
  bool is_simple_;
};

// softmax_parts.exponentials
class Exponentials {
 public:
  explicit Exponentials(const Exponential& of)
      : amplitude_(_mm512_set1_epi16(static_cast<int16_t>(of.amplitude))),
        slope_(_mm512_set1_epi16(static_cast<int16_t>(of.slope))),
        curvature_(_mm512_set1_epi16(static_cast<int16_t>(of.curvature))) {}

  __m512i operator()(__m512i distances) const {
    const __m512i fraction = _mm512_slli_epi16(distances, 6);
    const __m512i inner = _mm512_sub_epi16(slope_, _mm512_mulhi_epu16(fraction, curvature_));
    const __m512i mantissa = _mm512_sub_epi16(amplitude_, _mm512_mulhi_epu16(fraction, inner));
    return _mm512_srlv_epi16(mantissa, _mm512_srli_epi16(distances, 10));
  }

 private:
  __m512i amplitude_, slope_, curvature_;
};

__m512i largest_lanes(const int32_t* scores, int64_t panels) {
  __m512i first = _mm512_load_si512(scores), second = _mm512_load_si512(scores + 16);
  for (int64_t panel = 1; panel < panels; ++panel) {
    first = _mm512_max_epi32(first, _mm512_load_si512(scores + 32 * panel));
    second = _mm512_max_epi32(second, _mm512_load_si512(scores + 32 * panel + 16));
  }
  return _mm512_max_epi32(first, second);
}

// 64 codes in 16-bit lanes to bytes in order.
__m512i to_bytes(__m512i first, __m512i last) {
  const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  return _mm512_permutexvar_epi64(order, _mm512_packus_epi16(first, last));
}

__m512i masked(int64_t key, int64_t keys, __m512i words) {
  return _mm512_maskz_mov_epi16(columns_mask(keys - key), words);
}

__m512i add_bytes(__m512i sums, __m512i bytes) { return _mm512_dpbusd_epi32(sums, bytes, _mm512_set1_epi8(1)); }

// Applies `code` (32 words at a panel to 32 codes) to whole blocks of 64 keys, with zeros after the last key.
template <typename Code>
int64_t store_codes(int64_t keys, uint8_t* weights, const Code& code) {
  __m512i sums = _mm512_setzero_si512();
  for (int64_t key = 0; key < keys; key += 64) {
    __m512i first = code(key / 32), last = _mm512_setzero_si512();
    if (key + 32 < keys) last = code(key / 32 + 1);
    if (key + 64 > keys) {
      first = masked(key, keys, first);
      last = key + 32 < keys ? masked(key + 32, keys, last) : last;
    }
    const __m512i bytes = to_bytes(first, last);
    _mm512_store_si512(weights + key, bytes);
    sums = add_bytes(sums, bytes);
  }
  return _mm512_reduce_add_epi32(sums);
}

// Distances of a row (zeros after its end), and the sum of their 15-bit exponentials.
int64_t store_distances(int64_t keys, const int32_t* scores, const Distances& distances_of, uint16_t* distances) {
  const Exponentials exponentials(exponential_15_bits);
  const __m512i low_half = _mm512_set1_epi32(0xffff);
  __m512i sums = _mm512_setzero_si512();
  for (int64_t key = 0; key < keys; key += 32) {
    const __m512i words = distances_of(load_accumulators(scores + key));
    _mm512_store_si512(distances + key, words);
    const __m512i values = masked(key, keys, exponentials(words));
    sums = _mm512_add_epi32(sums, _mm512_add_epi32(_mm512_and_si512(values, low_half), _mm512_srli_epi32(values, 16)));
  }
  return static_cast<uint32_t>(_mm512_reduce_add_epi32(sums));
}

int64_t softmax_codes(int64_t keys, int64_t row_sum, const uint16_t* distances, uint8_t* weights) {
  const MantissaExponent inverse = reciprocal(row_sum);
  const int32_t shift = inverse.exponent - 8;  // at least 21
  const Exponentials exponentials(exponential_15_bits);
  const __m512i factor = _mm512_set1_epi16(static_cast<int16_t>((inverse.mantissa * 255) >> 8));
  const __m512i rounding = _mm512_set1_epi16(static_cast<int16_t>(shift > 31 ? 0 : 1 << (shift - 17)));
  const __m128i count = _mm_cvtsi32_si128(shift > 31 ? 16 : shift - 16);
  return store_codes(keys, weights, [&](int64_t panel) {
    const __m512i values = exponentials(_mm512_load_si512(distances + 32 * panel));
    return _mm512_srl_epi16(_mm512_add_epi16(_mm512_mulhi_epu16(values, factor), rounding), count);
  });
}

// Codes k become the bytes 2^(7 - k), k < 8, and 2^(15 - k), k >= 8.
int64_t log2_weights(int64_t keys, int64_t padded_keys, int32_t offset, const uint16_t* distances, uint8_t* weights) {
  const __m512i start = _mm512_set1_epi16(static_cast<int16_t>(offset)), largest = _mm512_set1_epi16(15);
  const __m512i high_powers = _mm512_broadcast_i32x4(_mm_setr_epi8(-128, 64, 32, 16, 8, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0));
  const __m512i low_powers = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, -128, 64, 32, 16, 8, 4, 2, 1));
  __m512i high_sums = _mm512_setzero_si512(), low_sums = high_sums;
  const auto codes_of = [&](int64_t key) {
    const __m512i sums = _mm512_add_epi16(_mm512_load_si512(distances + key), start);
    return _mm512_min_epu16(_mm512_srli_epi16(sums, 10), largest);
  };
  for (int64_t key = 0; key < keys; key += 64) {
    const __m512i last = key + 32 < keys ? codes_of(key + 32) : _mm512_setzero_si512();
    const __m512i codes = to_bytes(codes_of(key), last);
    const __mmask64 valid = keys - key >= 64 ? ~__mmask64{0} : (__mmask64{1} << (keys - key)) - 1;
    const __m512i high = _mm512_maskz_shuffle_epi8(valid, high_powers, codes);
    const __m512i low = _mm512_maskz_shuffle_epi8(valid, low_powers, codes);
    _mm512_store_si512(weights + key, high);
    _mm512_store_si512(weights + padded_keys + key, low);
    high_sums = add_bytes(high_sums, high);
    low_sums = add_bytes(low_sums, low);
  }
  return int64_t{_mm512_reduce_add_epi32(high_sums)} * 256 + _mm512_reduce_add_epi32(low_sums);
}

__m512i levels_of(const AttentionData& data, __m512i logarithms) {
  const __m512i last = _mm512_set1_epi16(static_cast<int16_t>(least(data.table_entries, 65536) - 1));
  return gather_words(data.table, _mm512_min_epu16(logarithms, last));
}

// Levels (32 words from a key on) as bytes, or as their high bytes and then their low bytes.
template <typename Levels>
int64_t level_weights(const AttentionData& data, const Levels& levels, uint8_t* weights) {
  const int64_t keys = data.keys, padded_keys = (keys + 63) / 64 * 64;
  const __m512i low_byte = _mm512_set1_epi16(255);
  __m512i high_sums = _mm512_setzero_si512(), low_sums = high_sums;
  const auto levels_at = [&](int64_t key) {
    return key >= keys ? _mm512_setzero_si512() : masked(key, keys, levels(key));
  };
  for (int64_t key = 0; key < keys; key += 64) {
    const __m512i first = levels_at(key), last = levels_at(key + 32);
    const __m512i low = to_bytes(_mm512_and_si512(first, low_byte), _mm512_and_si512(last, low_byte));
    low_sums = add_bytes(low_sums, low);
    _mm512_store_si512(weights + key + (data.two_byte_weights ? padded_keys : 0), low);
    if (!data.two_byte_weights) continue;
    const __m512i high = to_bytes(_mm512_srli_epi16(first, 8), _mm512_srli_epi16(last, 8));
    high_sums = add_bytes(high_sums, high);
    _mm512_store_si512(weights + key, high);
  }
  return int64_t{_mm512_reduce_add_epi32(high_sums)} * 256 + _mm512_reduce_add_epi32(low_sums);
}

int64_t table_weights(const AttentionData& data, int32_t log2_sum, const uint16_t* distances, uint8_t* weights) {
  const __m512i start = _mm512_set1_epi16(static_cast<int16_t>(log2_sum));
  return level_weights(
      data, [&](int64_t key) { return levels_of(data, _mm512_add_epi16(_mm512_load_si512(distances + key), start)); }, weights);
}

int64_t row_weights(const AttentionData& data, int32_t* scores, uint16_t* results, uint8_t* weights) {
  for (int64_t key = 0; key < data.keys; key += 32) {
    const Accumulators natural = to_natural_order(load_accumulators(scores + key));
    _mm512_store_si512(scores + key, natural.first);
    _mm512_store_si512(scores + key + 16, natural.second);
  }
  data.row_softmax_function(data.row_softmax, {data.pre_shift, data.multiplier, data.shift}, data.keys, scores, results);
  return level_weights(data, [&](int64_t key) { return _mm512_load_si512(results + key); }, weights);
}

int64_t exponential_weights(int64_t keys, const int32_t* scores, const Distances& distances_of, uint8_t* weights) {
  const Exponentials exponentials(exponential_codes);
  const __m512i half = _mm512_set1_epi16(128);
  return store_codes(keys, weights, [&](int64_t panel) {
    const __m512i values = exponentials(distances_of(load_accumulators(scores + 32 * panel)));
    return _mm512_srli_epi16(_mm512_add_epi16(values, half), 8);
  });
}

}  // namespace

int32_t row_maximum_avx512(const AttentionData& data, const int32_t* scores) {
  return _mm512_reduce_max_epi32(largest_lanes(scores, (data.keys + 31) / 32));
}

int64_t softmax_row_avx512(const AttentionData& data, int32_t maximum, int32_t* scores, uint8_t* weights,
                           uint16_t* distances) {
  const int64_t keys = data.keys;
  if (data.kind == AttentionKind::row_softmax) return row_weights(data, scores, distances, weights);
  const Distances distances_of(data, _mm512_set1_epi32(maximum));
  if (data.kind == AttentionKind::exponentials) return exponential_weights(keys, scores, distances_of, weights);
  const int64_t row_sum = store_distances(keys, scores, distances_of, distances);
  if (data.kind == AttentionKind::softmax) return softmax_codes(keys, row_sum, distances, weights);
  const int32_t log2_sum = log2_fixed_10(row_sum) - (15 << 10);
  if (data.kind == AttentionKind::table_softmax) return table_weights(data, log2_sum, distances, weights);
  return log2_weights(keys, (keys + 63) / 64 * 64, log2_sum + data.log2_rounding, distances, weights);
}

}  // namespace fullint::detail
