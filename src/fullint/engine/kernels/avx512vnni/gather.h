// Tables of words, 32 entries at a time.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace fullint::detail {
namespace {

// table[entries], unsigned words: two gathers of 32 bits, of which one half each is used. The entry after the last is read.
inline __m512i gather_words(const int16_t* table, __m512i entries) {
  const __m512i even = _mm512_i32gather_epi32(_mm512_and_si512(entries, _mm512_set1_epi32(0xffff)), table, 2);
  const __m512i odd = _mm512_i32gather_epi32(_mm512_srli_epi32(entries, 16), table, 2);
  return _mm512_mask_blend_epi16(0xaaaaaaaa, even, _mm512_slli_epi32(odd, 16));
}

}  // namespace
}  // namespace fullint::detail
