// A 256-entry table in four registers, for processors with AVX-512-VBMI; functions that use it carry FULLINT_TARGET_VBMI.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace fullint::detail {
namespace {

#if defined(__GNUC__)
#define FULLINT_TARGET_VBMI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")))
inline bool has_vbmi() { return __builtin_cpu_supports("avx512vbmi"); }
#else
#define FULLINT_TARGET_VBMI
inline bool has_vbmi() { return false; }
#endif

struct Table {
  __m512i quarters[4];

  FULLINT_TARGET_VBMI explicit Table(const uint8_t* table) {
    for (int i = 0; i < 4; ++i) quarters[i] = _mm512_loadu_si512(table + 64 * i);
  }
  FULLINT_TARGET_VBMI __m512i operator()(__m512i codes) const {
    const __m512i low = _mm512_permutex2var_epi8(quarters[0], codes, quarters[1]);
    const __m512i high = _mm512_permutex2var_epi8(quarters[2], codes, quarters[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low, high);
  }
};

}  // namespace
}  // namespace fullint::detail
