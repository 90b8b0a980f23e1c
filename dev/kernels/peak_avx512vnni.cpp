#include <immintrin.h>

#include "bench.h"

namespace {

constexpr int steps = 50000, chains = 12;

__attribute__((noinline)) void multiply(__m512i left, __m512i right) {
  __m512i sums[chains] = {};
  for (int step = 0; step < steps; ++step) {
#pragma GCC unroll 12
    for (int chain = 0; chain < chains; ++chain) {
      sums[chain] = _mm512_dpbusd_epi32(sums[chain], left, right);
      __asm__ volatile("" : "+v"(sums[chain]));
    }
  }
}

}  // namespace

double bench::peak_avx512vnni() {
  const double seconds = median_seconds([] { multiply(_mm512_set1_epi32(0x5ac3f017), _mm512_set1_epi32(0x13a7e9d2)); });
  return steps * double{chains} * 64 / seconds;
}
