// 256-entry tables: four permutations of 64 bytes where the processor has VBMI, else one load a byte.
#include <immintrin.h>

#include <cstring>

#include "avx512vnni/epilogue.h"
#include "avx512vnni/table.h"

namespace fullint::detail {
namespace {

// Two pieces of up to 32 bytes at a time; the odd last one alone.
FULLINT_TARGET_VBMI void lookup_vbmi(const uint8_t* table, int64_t rows, uint8_t* data, int64_t row_stride,
                                     __mmask32 mask) {
  const Table lookup(table);
  for (int64_t row = 0; row < rows; row += 2) {
    uint8_t* one = data + row * row_stride;
    uint8_t* two = row + 1 < rows ? one + row_stride : one;
    const __m512i codes = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_maskz_loadu_epi8(mask, one)),
                                             _mm256_maskz_loadu_epi8(mask, two), 1);
    const __m512i values = lookup(codes);
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
    if (from != to) std::memmove(to, from, static_cast<size_t>(columns));
    lookup_pieces_avx512(table, columns / 32, reinterpret_cast<uint8_t*>(to), 32, 32);
    if (columns % 32 != 0)
      lookup_pieces_avx512(table, 1, reinterpret_cast<uint8_t*>(to) + columns / 32 * 32, 32, columns % 32);
  }
}

}  // namespace fullint::detail
