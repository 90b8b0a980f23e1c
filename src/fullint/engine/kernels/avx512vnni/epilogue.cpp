// The ends of matrix products, and elementwise operations, AVX-512.
#include "avx512vnni/epilogue.h"

#include "avx512vnni/table.h"
#include "instruction_sets.h"

namespace fullint::detail {
namespace {

void store_accumulators(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t stride, int64_t row, int64_t rows,
                        const Rows& out) {
  const int64_t column = panel * panel_columns;
  const uint32_t mask = columns_mask(epilogue.columns - column);
  const Accumulators start = load_accumulators(epilogue.panels[panel].start);
  for (int64_t i = 0; i < rows; ++i) {
    const Accumulators values = load_accumulators(accumulators + i * stride);
    const Accumulators natural = to_natural_order(
        {_mm512_add_epi32(values.first, start.first), _mm512_add_epi32(values.second, start.second)});
    char* to = element(out, NumberType::s32, row + i, column);
    _mm512_mask_storeu_epi32(to, static_cast<__mmask16>(mask), natural.first);
    _mm512_mask_storeu_epi32(to + 64, static_cast<__mmask16>(mask >> 16), natural.second);
  }
}

// Two rows of 32 codes in one register, the first row in its low half.
template <bool is_signed>
inline __m512i pack_rows(__m512i first_words, __m512i second_words) {
  const __m512i packed = is_signed ? _mm512_packs_epi16(first_words, second_words) : _mm512_packus_epi16(first_words, second_words);
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), packed);
}

inline void store_rows(char* first, char* second, __mmask32 mask, __m512i bytes) {
  _mm256_mask_storeu_epi8(second, mask, _mm512_extracti64x4_epi64(bytes, 1));
  _mm256_mask_storeu_epi8(first, mask, _mm512_castsi512_si256(bytes));
}

template <Route route, bool clips, bool is_signed>
void finish_bytes(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t stride, int64_t rows,
                  char* out, int64_t out_stride) {
  const __mmask32 mask = columns_mask(epilogue.columns - panel * panel_columns);
  const Requantizer<route, clips> requantize(epilogue, epilogue.panels[panel]);
  for (int64_t i = 0; i < rows; i += 2, accumulators += 2 * stride, out += 2 * out_stride) {
    const bool two = i + 1 < rows;  // else the same row twice
    const __m512i first = requantize(load_accumulators(accumulators));
    const __m512i second = two ? requantize(load_accumulators(accumulators + stride)) : first;
    store_rows(out, two ? out + out_stride : out, mask, pack_rows<is_signed>(first, second));
  }
}

// The same with a table's values in place of the codes.
template <Route route, bool clips, bool is_signed>
FULLINT_TARGET_VBMI void finish_table(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t stride,
                                      int64_t rows, char* out, int64_t out_stride) {
  const __mmask32 mask = columns_mask(epilogue.columns - panel * panel_columns);
  const Requantizer<route, clips> requantize(epilogue, epilogue.panels[panel]);
  const Table lookup(epilogue.table);
  for (int64_t i = 0; i < rows; i += 2, accumulators += 2 * stride, out += 2 * out_stride) {
    const bool two = i + 1 < rows;
    const __m512i first = requantize(load_accumulators(accumulators));
    const __m512i second = two ? requantize(load_accumulators(accumulators + stride)) : first;
    store_rows(out, two ? out + out_stride : out, mask, lookup(pack_rows<is_signed>(first, second)));
  }
}

template <Route route, bool clips, bool is_signed>
void finish_codes(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t stride, int64_t rows,
                  char* out, int64_t out_stride) {
  if (!epilogue.has_table)
    return finish_bytes<route, clips, is_signed>(epilogue, panel, accumulators, stride, rows, out, out_stride);
  if (has_vbmi()) return finish_table<route, clips, is_signed>(epilogue, panel, accumulators, stride, rows, out, out_stride);
  finish_bytes<route, clips, is_signed>(epilogue, panel, accumulators, stride, rows, out, out_stride);
  lookup_pieces_avx512(epilogue.table, rows, reinterpret_cast<uint8_t*>(out), out_stride,
                       epilogue.columns - panel * panel_columns);
}

template <Route route, bool clips>
void finish_plain(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t stride, int64_t row,
                  int64_t rows, const Rows& out) {
  const int64_t column = panel * panel_columns;
  char* to = element(out, epilogue.output_type, row, column);
  if (epilogue.code_type == NumberType::u8)
    return finish_codes<route, clips, false>(epilogue, panel, accumulators, stride, rows, to, out.row_stride);
  if (epilogue.code_type == NumberType::s8)
    return finish_codes<route, clips, true>(epilogue, panel, accumulators, stride, rows, to, out.row_stride);
  const __mmask32 mask = columns_mask(epilogue.columns - column);
  const Requantizer<route, clips> requantize(epilogue, epilogue.panels[panel]);
  for (int64_t i = 0; i < rows; ++i)
    _mm512_mask_storeu_epi16(to + i * out.row_stride * 2, mask, requantize(load_accumulators(accumulators + i * stride)));
}

template <Route route, bool clips>
void finish_added(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t stride, int64_t row, int64_t rows,
                  const ConstRows& second, const Rows& out) {
  const int64_t column = panel * panel_columns;
  const __mmask32 mask = columns_mask(epilogue.columns - column);
  const Requantizer<route, clips> requantize(epilogue, epilogue.panels[panel]);
  const Adder add(epilogue, epilogue.panels[panel]);
  for (int64_t i = 0; i < rows; ++i) {
    const __m512i codes = requantize(load_accumulators(accumulators + i * stride));
    const __m512i others =
        load_words(element(second, epilogue.second_type, row + i, column), epilogue.second_type, mask);
    store_words(element(out, epilogue.output_type, row + i, column), epilogue.output_type, mask, add(codes, others));
  }
}

template <Route route, bool clips>
void finish(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t stride, int64_t row, int64_t rows,
            const ConstRows& second, const Rows& out) {
  if (epilogue.adds)
    finish_added<route, clips>(epilogue, panel, accumulators, stride, row, rows, second, out);
  else
    finish_plain<route, clips>(epilogue, panel, accumulators, stride, row, rows, out);
}

// Reads 32 numbers of any type as int32 in tile order.
Accumulators load_any(const char* data, NumberType type, __mmask32 mask) {
  if (type != NumberType::s32) return widen(load_words(data, type, mask));
  return to_tile_order(_mm512_maskz_loadu_epi32(static_cast<__mmask16>(mask), data),
                       _mm512_maskz_loadu_epi32(static_cast<__mmask16>(mask >> 16), data + 64));
}

void add_rows(const EpilogueData& epilogue, NumberType x_type, int64_t rows, const ConstRows& x, const ConstRows& second,
              const Rows& out) {
  for (int64_t column = 0; column < epilogue.columns; column += panel_columns) {
    const __mmask32 mask = columns_mask(epilogue.columns - column);
    const Adder add(epilogue, epilogue.panels[column / panel_columns]);
    for (int64_t row = 0; row < rows; ++row) {
      const __m512i a = load_words(element(x, x_type, row, column), x_type, mask);
      const __m512i b = load_words(element(second, epilogue.second_type, row, column), epilogue.second_type, mask);
      store_words(element(out, epilogue.output_type, row, column), epilogue.output_type, mask, add(a, b));
    }
  }
}

void finish_strided(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t stride, int64_t row,
                    int64_t rows, const ConstRows& second, const Rows& out) {
  if (epilogue.route == Route::none)
    store_accumulators(epilogue, panel, accumulators, stride, row, rows, out);
  else if (epilogue.route == Route::high)
    (epilogue.clips ? finish<Route::high, true> : finish<Route::high, false>)(epilogue, panel, accumulators, stride, row, rows,
                                                                            second, out);
  else
    (epilogue.clips ? finish<Route::pairs, true> : finish<Route::pairs, false>)(epilogue, panel, accumulators, stride, row,
                                                                              rows, second, out);
}

}  // namespace

void finish_panel_avx512(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t row, int64_t rows,
                         const ConstRows& second, const Rows& out) {
  finish_strided(epilogue, panel, accumulators, panel_columns, row, rows, second, out);
}

void finish_values_avx512(const EpilogueData& epilogue, const int32_t* accumulators, int64_t stride, int64_t row, int64_t rows,
                          const Rows& out) {
  for (int64_t panel = 0; panel * panel_columns < epilogue.columns; ++panel)
    finish_strided(epilogue, panel, accumulators + panel * panel_columns, stride, row, rows, {}, out);
}

void finish_avx512(const EpilogueData& epilogue, NumberType x_type, int64_t rows, const ConstRows& x,
                   const ConstRows& second, const Rows& out) {
  if (!epilogue.requantizes) return add_rows(epilogue, x_type, rows, x, second, out);
  constexpr int64_t rows_at_once = 16;
  alignas(64) int32_t accumulators[rows_at_once * panel_columns];
  for (int64_t row = 0; row < rows; row += rows_at_once) {
    const int64_t count = rows - row < rows_at_once ? rows - row : rows_at_once;
    for (int64_t column = 0; column < epilogue.columns; column += panel_columns) {
      const __mmask32 mask = columns_mask(epilogue.columns - column);
      for (int64_t i = 0; i < count; ++i) {
        const Accumulators values = load_any(element(x, x_type, row + i, column), x_type, mask);
        _mm512_store_si512(accumulators + i * panel_columns, values.first);
        _mm512_store_si512(accumulators + i * panel_columns + 16, values.second);
      }
      finish_panel_avx512(epilogue, column / panel_columns, accumulators, row, count, second, out);
    }
  }
}

}  // namespace fullint::detail
