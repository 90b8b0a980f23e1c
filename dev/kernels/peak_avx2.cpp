#include <immintrin.h>

#include "bench.h"

namespace {

constexpr int steps = 50000, chains = 12;

// Products of int16 pairs, exact for all bytes, and their addition.
__attribute__((noinline)) void multiply(__m256i left, __m256i right) {
  __m256i sums[chains] = {};
  for (int step = 0; step < steps; ++step) {
#pragma GCC unroll 12
    for (int chain = 0; chain < chains; ++chain) {
      __asm__ volatile("" : "+x"(left));
      sums[chain] = _mm256_add_epi32(sums[chain], _mm256_madd_epi16(left, right));
      __asm__ volatile("" : "+x"(sums[chain]));
    }
  }
}

}  // namespace

double bench::peak_avx2() {
  const double seconds = median_seconds([] { multiply(_mm256_set1_epi32(0x5ac3f017), _mm256_set1_epi32(0x13a7e9d2)); });
  return steps * double{chains} * 16 / seconds;
}
