// 256-entry tables: four permutations of 64 bytes where the processor has VBMI, else one load a byte.
#include <immintrin.h>

#include "avx512vnni/epilogue.h"

namespace fullint::detail {
namespace {

#if defined(__GNUC__)
#define FULLINT_TARGET_VBMI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi")))
bool has_vbmi() {
  static const bool result = __builtin_cpu_supports("avx512vbmi");
  return result;
}
#else
#define FULLINT_TARGET_VBMI
bool has_vbmi() { return false; }
#endif

// Two pieces of up to 32 bytes at a time; the odd last one alone.
FULLINT_TARGET_VBMI void lookup_vbmi(const uint8_t* table, int64_t rows, uint8_t* data, int64_t row_stride, __mmask32 mask) {
  const __m512i quarter_0 = _mm512_loadu_si512(table), quarter_1 = _mm512_loadu_si512(table + 64);
  const __m512i quarter_2 = _mm512_loadu_si512(table + 128), quarter_3 = _mm512_loadu_si512(table + 192);
  for (int64_t row = 0; row < rows; row += 2) {
    uint8_t* one = data + row * row_stride;
    uint8_t* two = row + 1 < rows ? one + row_stride : one;
    const __m512i codes = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_maskz_loadu_epi8(mask, one)),
                                             _mm256_maskz_loadu_epi8(mask, two), 1);
    const __m512i low = _mm512_permutex2var_epi8(quarter_0, codes, quarter_1);
    const __m512i high = _mm512_permutex2var_epi8(quarter_2, codes, quarter_3);
    const __m512i values = _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low, high);
    _mm256_mask_storeu_epi8(two, mask, _mm512_extracti64x4_epi64(values, 1));
    _mm256_mask_storeu_epi8(one, mask, _mm512_castsi512_si256(values));
  }
}

}  // namespace

void lookup_pieces_avx512(const uint8_t* table, int64_t rows, uint8_t* data, int64_t row_stride, int64_t columns) {
  columns = columns < panel_columns ? columns : panel_columns;
  if (has_vbmi()) return lookup_vbmi(table, rows, data, row_stride, columns_mask(columns));
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      data[row * row_stride + column] = table[data[row * row_stride + column]];
}

void lookup_avx512(const uint8_t* table, int64_t columns, int64_t rows, const ConstRows& x, const Rows& out) {
  for (int64_t row = 0; row < rows; ++row) {
    const char* from = element(x, NumberType::u8, row, 0);
    char* to = element(out, NumberType::u8, row, 0);
    if (from != to) __builtin_memmove(to, from, static_cast<size_t>(columns));
    lookup_pieces_avx512(table, columns / 32, reinterpret_cast<uint8_t*>(to), 32, 32);
    if (columns % 32 != 0)
      lookup_pieces_avx512(table, 1, reinterpret_cast<uint8_t*>(to) + columns / 32 * 32, 32, columns % 32);
  }
}

}  // namespace fullint::detail
