// From int32 accumulators to codes, 32 columns at a time: the AVX-512 part of a Linear's end. See data.h for the orders.
#pragma once

#include <immintrin.h>

#include "data.h"

// What a product's loop must not call: its constants are to stay in registers from row to row.
#if defined(__GNUC__)
#define FULLINT_INLINE inline __attribute__((always_inline))
#else
#define FULLINT_INLINE inline
#endif

namespace fullint::detail {
namespace {

// 32 columns as int32 in tile order.
struct Accumulators {
  __m512i first, second;
};

inline Accumulators load_accumulators(const int32_t* values) {
  return {_mm512_load_si512(values), _mm512_load_si512(values + 16)};
}

inline __mmask32 columns_mask(int64_t columns) {
  return columns >= 32 ? ~__mmask32{0} : static_cast<__mmask32>((uint32_t{1} << columns) - 1);
}

// Sign-extends 32 int16 in natural order to int32 in tile order.
inline Accumulators widen(__m512i words) {
  const __m512i signs = _mm512_srai_epi16(words, 15);
  return {_mm512_unpacklo_epi16(words, signs), _mm512_unpackhi_epi16(words, signs)};
}

inline Accumulators to_tile_order(__m512i first_16, __m512i last_16) {
  const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
  const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(4));
  return {_mm512_permutex2var_epi32(first_16, first, last_16), _mm512_permutex2var_epi32(first_16, second, last_16)};
}

inline Accumulators to_natural_order(const Accumulators& tile) {
  const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
  return {_mm512_permutex2var_epi32(tile.first, first, tile.second),
          _mm512_permutex2var_epi32(tile.first, second, tile.second)};
}

// Loads 32 numbers of any type as int16; they must fit.
inline __m512i load_words(const void* data, NumberType type, __mmask32 mask) {
  if (type == NumberType::s16) return _mm512_maskz_loadu_epi16(mask, data);
  const __m256i bytes = _mm256_maskz_loadu_epi8(mask, data);
  return type == NumberType::u8 ? _mm512_cvtepu8_epi16(bytes) : _mm512_cvtepi8_epi16(bytes);
}

inline void store_words(void* data, NumberType type, __mmask32 mask, __m512i words) {
  if (type == NumberType::s16)
    _mm512_mask_storeu_epi16(data, mask, words);
  else
    _mm256_mask_storeu_epi8(data, mask, _mm512_cvtepi16_epi8(words));
}

// 32 accumulators to requantized codes as int16 in natural order; with `clips`, within the requantization's range, else
// saturated to int16 only.
template <Route route, bool clips>
struct Requantizer {
  Accumulators start, pre_shift;
  __m512i multiplier, high_start, high_scale;    // high, whole
  __mmask32 adds_whole;                          // whole
  __m512i pair_constant, pair_first, pair_last;  // pairs
  Accumulators shift;                            // pairs
  __m512i zero_point, low, high;

  explicit Requantizer(const EpilogueData& epilogue)
      : zero_point(_mm512_set1_epi16(static_cast<int16_t>(epilogue.requantize.zero_point))),
        low(_mm512_set1_epi16(static_cast<int16_t>(epilogue.requantize.low))),
        high(_mm512_set1_epi16(static_cast<int16_t>(epilogue.requantize.high))) {}

  void use(const Panel& panel) {
    start = load_accumulators(panel.start);
    pre_shift = load_accumulators(panel.pre_shift);
    if constexpr (route == Route::high) {
      multiplier = _mm512_load_si512(panel.multiplier);
      high_start = _mm512_load_si512(panel.high_start);
      high_scale = _mm512_load_si512(panel.high_scale);
    } else if constexpr (route == Route::whole) {
      multiplier = _mm512_load_si512(panel.multiplier);
      adds_whole = _mm512_movepi16_mask(_mm512_load_si512(panel.adds_whole));
    } else {
      pair_constant = _mm512_load_si512(panel.pair_constant);
      pair_first = _mm512_load_si512(panel.pair_multiplier);
      pair_last = _mm512_load_si512(panel.pair_multiplier + 32);
      shift = load_accumulators(panel.shift);
    }
  }

  FULLINT_INLINE __m512i operator()(const Accumulators& values) const {
    const __m512i intermediate = _mm512_packs_epi32(
        _mm512_srav_epi32(_mm512_add_epi32(values.first, start.first), pre_shift.first),
        _mm512_srav_epi32(_mm512_add_epi32(values.second, start.second), pre_shift.second));
    __m512i words;
    if constexpr (route == Route::high) {
      words = _mm512_adds_epi16(_mm512_mulhi_epi16(intermediate, multiplier), high_start);
      words = _mm512_mulhrs_epi16(words, high_scale);
    } else if constexpr (route == Route::whole) {
      words = _mm512_mulhrs_epi16(intermediate, multiplier);
      words = _mm512_mask_adds_epi16(words, adds_whole, words, intermediate);
    } else {
      const __m512i first = _mm512_madd_epi16(_mm512_unpacklo_epi16(intermediate, pair_constant), pair_first);
      const __m512i last = _mm512_madd_epi16(_mm512_unpackhi_epi16(intermediate, pair_constant), pair_last);
      words = _mm512_packs_epi32(_mm512_srav_epi32(first, shift.first), _mm512_srav_epi32(last, shift.second));
      words = _mm512_adds_epi16(words, zero_point);
    }
    if constexpr (!clips) return words;
    return _mm512_min_epi16(_mm512_max_epi16(words, low), high);
  }
};

// ops/rescaled_add.py on 32 int16 and 32 int16.
struct Adder {
  bool saturating;
  Accumulators factor_a, factor_b, start, shift;
  __m512i zero_point, low, high;

  explicit Adder(const EpilogueData& epilogue)
      : saturating(epilogue.saturating_addition),
        zero_point(_mm512_set1_epi16(static_cast<int16_t>(epilogue.addition.zero_point))),
        low(_mm512_set1_epi16(static_cast<int16_t>(epilogue.addition.low))),
        high(_mm512_set1_epi16(static_cast<int16_t>(epilogue.addition.high))) {}

  void use(const Panel& panel) {
    factor_a = load_accumulators(panel.addition_a);
    factor_b = load_accumulators(panel.addition_b);
    start = load_accumulators(panel.addition_start);
    shift = load_accumulators(panel.addition_shift);
  }

  static __m512i weighted(__m512i a, __m512i factor_a, __m512i b, __m512i factor_b, __m512i start, __m512i shift) {
    const __m512i sum = _mm512_add_epi32(_mm512_mullo_epi32(a, factor_a), _mm512_mullo_epi32(b, factor_b));
    return _mm512_srav_epi32(_mm512_add_epi32(sum, start), shift);
  }

  __m512i operator()(__m512i a, __m512i b) const {
    __m512i words;
    if (saturating) {
      words = _mm512_adds_epi16(a, b);
    } else {
      const Accumulators wide_a = widen(a), wide_b = widen(b);
      words = _mm512_packs_epi32(
          weighted(wide_a.first, factor_a.first, wide_b.first, factor_b.first, start.first, shift.first),
          weighted(wide_a.second, factor_a.second, wide_b.second, factor_b.second, start.second, shift.second));
      words = _mm512_adds_epi16(words, zero_point);
    }
    return _mm512_min_epi16(_mm512_max_epi16(words, low), high);
  }
};

inline char* element(const Rows& rows, NumberType type, int64_t row, int64_t column) {
  return static_cast<char*>(rows.data) + (row * rows.row_stride + column) * size_of(type);
}
inline const char* element(const ConstRows& rows, NumberType type, int64_t row, int64_t column) {
  return static_cast<const char*>(rows.data) + (row * rows.row_stride + column) * size_of(type);
}

}  // namespace

// table[x] in place for `rows` pieces of up to 32 bytes.
void lookup_pieces_avx512(const uint8_t* table, int64_t rows, uint8_t* data, int64_t row_stride, int64_t columns);

// Finishes one panel of `rows` rows: accumulators (rows, 32) in tile order, 64-byte aligned, without bias; `row` and the
// panel's first column locate them in `second` and `out`.
void finish_panel_avx512(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t row, int64_t rows,
                         const ConstRows& second, const Rows& out);

// All panels of rows of accumulators that lie `stride` int32 apart.
void finish_values_avx512(const EpilogueData& epilogue, const int32_t* accumulators, int64_t stride, int64_t row, int64_t rows,
                          const Rows& out);

}  // namespace fullint::detail
