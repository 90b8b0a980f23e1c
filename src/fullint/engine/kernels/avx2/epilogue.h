// From int32 accumulators to codes, 16 columns (half a panel) at a time: the AVX2 part of a Linear's end. Packing within
// 128-bit lanes makes the tile order of data.h work for registers of 8 int32 too.
#pragma once

#include <immintrin.h>

#include <cstring>

#include "data.h"
#include "fixed_point.h"

namespace fullint::detail {
namespace {

// 16 columns as int32 in tile order.
struct HalfAccumulators {
  __m256i first, second;
};

// `values`: 32 int32 of a panel; `half`: 0 or 1.
inline HalfAccumulators load_half(const int32_t* values, int64_t half) {
  return {_mm256_load_si256(reinterpret_cast<const __m256i*>(values + 8 * half)),
          _mm256_load_si256(reinterpret_cast<const __m256i*>(values + 16 + 8 * half))};
}

inline void store_half(int32_t* values, int64_t half, const HalfAccumulators& from) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(values + 8 * half), from.first);
  _mm256_store_si256(reinterpret_cast<__m256i*>(values + 16 + 8 * half), from.second);
}

inline __m256i load_constants(const int16_t* values, int64_t index) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(values + 16 * index));
}

inline HalfAccumulators widen_half(__m256i words) {
  const __m256i signs = _mm256_srai_epi16(words, 15);
  return {_mm256_unpacklo_epi16(words, signs), _mm256_unpackhi_epi16(words, signs)};
}

// Up to 16 numbers of any type but s32 as int16, zeros after them.
inline __m256i load_words_16(const void* data, NumberType type, int64_t count) {
  alignas(32) char copy[32] = {};
  if (count < 16) {
    std::memcpy(copy, data, static_cast<size_t>(count * size_of(type)));
    data = copy;
  }
  if (type == NumberType::s16) return _mm256_loadu_si256(static_cast<const __m256i*>(data));
  const __m128i bytes = _mm_loadu_si128(static_cast<const __m128i*>(data));
  return type == NumberType::u8 ? _mm256_cvtepu8_epi16(bytes) : _mm256_cvtepi8_epi16(bytes);
}

// The words must lie within the type.
inline void store_words_16(void* data, NumberType type, int64_t count, __m256i words) {
  alignas(32) char copy[32];
  void* to = count < 16 ? copy : data;
  if (type == NumberType::s16) {
    _mm256_storeu_si256(static_cast<__m256i*>(to), words);
  } else {
    const __m256i low_bytes = _mm256_and_si256(words, _mm256_set1_epi16(255));
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(low_bytes, low_bytes), 0x88);
    _mm_storeu_si128(static_cast<__m128i*>(to), _mm256_castsi256_si128(packed));
  }
  if (count < 16) std::memcpy(data, copy, static_cast<size_t>(count * size_of(type)));
}

inline __m256i clip_words(__m256i words, int32_t low, int32_t high) {
  words = _mm256_max_epi16(words, _mm256_set1_epi16(static_cast<int16_t>(low)));
  return _mm256_min_epi16(words, _mm256_set1_epi16(static_cast<int16_t>(high)));
}

// Requantized codes of half a panel, by the route of pairs, which suits whatever the route of high halves does.
inline __m256i requantize_half(const RequantizeData& factors, const Panel& panel, int64_t half, const HalfAccumulators& values) {
  const HalfAccumulators start = load_half(panel.start, half), pre_shift = load_half(panel.pre_shift, half);
  const HalfAccumulators shift = load_half(panel.shift, half);
  const __m256i intermediate =
      _mm256_packs_epi32(_mm256_srav_epi32(_mm256_add_epi32(values.first, start.first), pre_shift.first),
                         _mm256_srav_epi32(_mm256_add_epi32(values.second, start.second), pre_shift.second));
  const __m256i constant = load_constants(panel.pair_constant, half);
  const __m256i first =
      _mm256_madd_epi16(_mm256_unpacklo_epi16(intermediate, constant), load_constants(panel.pair_multiplier, half));
  const __m256i last =
      _mm256_madd_epi16(_mm256_unpackhi_epi16(intermediate, constant), load_constants(panel.pair_multiplier, 2 + half));
  const __m256i words = _mm256_packs_epi32(_mm256_srav_epi32(first, shift.first), _mm256_srav_epi32(last, shift.second));
  return clip_words(_mm256_adds_epi16(words, _mm256_set1_epi16(static_cast<int16_t>(factors.zero_point))), factors.low,
                    factors.high);
}

inline __m256i add_half(const EpilogueData& epilogue, const Panel& panel, int64_t half, __m256i a, __m256i b) {
  const AdditionData& addition = epilogue.addition;
  if (epilogue.saturating_addition) return clip_words(_mm256_adds_epi16(a, b), addition.low, addition.high);
  const HalfAccumulators factor_a = load_half(panel.addition_a, half), factor_b = load_half(panel.addition_b, half);
  const HalfAccumulators start = load_half(panel.addition_start, half), shift = load_half(panel.addition_shift, half);
  const HalfAccumulators wide_a = widen_half(a), wide_b = widen_half(b);
  const auto weighted = [](__m256i x, __m256i x_factor, __m256i y, __m256i y_factor, __m256i first, __m256i count) {
    const __m256i sum = _mm256_add_epi32(_mm256_mullo_epi32(x, x_factor), _mm256_mullo_epi32(y, y_factor));
    return _mm256_srav_epi32(_mm256_add_epi32(sum, first), count);
  };
  const __m256i words = _mm256_packs_epi32(
      weighted(wide_a.first, factor_a.first, wide_b.first, factor_b.first, start.first, shift.first),
      weighted(wide_a.second, factor_a.second, wide_b.second, factor_b.second, start.second, shift.second));
  return clip_words(_mm256_adds_epi16(words, _mm256_set1_epi16(static_cast<int16_t>(addition.zero_point))), addition.low,
                    addition.high);
}

inline const char* element(const ConstRows& rows, NumberType type, int64_t row, int64_t column) {
  return static_cast<const char*>(rows.data) + (row * rows.row_stride + column) * size_of(type);
}
inline char* element(const Rows& rows, NumberType type, int64_t row, int64_t column) {
  return static_cast<char*>(rows.data) + (row * rows.row_stride + column) * size_of(type);
}

}  // namespace

// As finish_panel_avx512: one panel of rows of accumulators, `stride` int32 apart, in tile order, 32-byte aligned.
void finish_panel_avx2(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t stride, int64_t row,
                       int64_t rows, const ConstRows& second, const Rows& out);

}  // namespace fullint::detail
