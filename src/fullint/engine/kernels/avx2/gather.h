// Tables of words, 16 entries at a time.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace fullint::detail {
namespace {

// table[entries], unsigned words: two gathers of 32 bits, of which one half each is used. The entry after the last is read.
inline __m256i gather_words(const int16_t* table, __m256i entries) {
  const auto* numbers = reinterpret_cast<const int*>(table);
  const __m256i even = _mm256_i32gather_epi32(numbers, _mm256_and_si256(entries, _mm256_set1_epi32(0xffff)), 2);
  const __m256i odd = _mm256_i32gather_epi32(numbers, _mm256_srli_epi32(entries, 16), 2);
  return _mm256_blend_epi16(even, _mm256_slli_epi32(odd, 16), 0xaa);
}

}  // namespace
}  // namespace fullint::detail
