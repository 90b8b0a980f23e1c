#include <immintrin.h>

#include "bench.h"

// Products of int16 pairs, exact for all bytes, and their addition.
double bench::peak_avx2() {
  constexpr int steps = 50000, chains = 12;
  __m256i sums[chains] = {};
  const __m256i ones = _mm256_set1_epi16(1);
  const double seconds = median_seconds([&] {
    for (int step = 0; step < steps; ++step)
      for (int chain = 0; chain < chains; ++chain) {
        sums[chain] = _mm256_add_epi32(sums[chain], _mm256_madd_epi16(ones, sums[chain]));
        __asm__ volatile("" : "+x"(sums[chain]));
      }
  });
  return steps * double{chains} * 16 / seconds;
}
