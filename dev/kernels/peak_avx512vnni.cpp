#include <immintrin.h>

#include "bench.h"

double bench::peak_avx512vnni() {
  constexpr int steps = 50000, chains = 12;
  __m512i sums[chains] = {};
  const double seconds = median_seconds([&] {
    for (int step = 0; step < steps; ++step)
      for (int chain = 0; chain < chains; ++chain) {
        sums[chain] = _mm512_dpbusd_epi32(sums[chain], sums[chain], sums[chain]);
        __asm__ volatile("" : "+v"(sums[chain]));
      }
  });
  return steps * double{chains} * 64 / seconds;
}
