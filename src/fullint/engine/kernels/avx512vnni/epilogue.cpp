// The ends of matrix products, and elementwise operations, AVX-512.
#include "avx512vnni/finishers.h"
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

template <typename Finisher>
void finish_with(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t stride, int64_t row,
                 int64_t rows, const ConstRows& second, const Rows& out) {
  Finisher finisher(epilogue, second, out);
  finisher.use(panel);
  finisher.rows(accumulators, stride, row, rows);
}

template <Route route, bool clips, bool is_signed>
FULLINT_TARGET_VBMI void finish_table(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t stride,
                                      int64_t row, int64_t rows, const ConstRows& second, const Rows& out) {
  TableFinisher<route, clips, is_signed> finisher(epilogue, second, out);
  finisher.use(panel);
  finisher.rows(accumulators, stride, row, rows);
}

template <Route route, bool clips, bool is_signed>
void finish_bytes(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t stride, int64_t row,
                  int64_t rows, const ConstRows& second, const Rows& out) {
  if (epilogue.has_table && has_vbmi())
    return finish_table<route, clips, is_signed>(epilogue, panel, accumulators, stride, row, rows, second, out);
  finish_with<ByteFinisher<route, clips, is_signed>>(epilogue, panel, accumulators, stride, row, rows, second, out);
  if (epilogue.has_table)
    lookup_pieces_avx512(epilogue.table, rows,
                         reinterpret_cast<uint8_t*>(element(out, NumberType::u8, row, panel * panel_columns)), out.row_stride,
                         epilogue.columns - panel * panel_columns);
}

template <Route route, bool clips>
void finish(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t stride, int64_t row, int64_t rows,
            const ConstRows& second, const Rows& out) {
  const auto function = epilogue.adds                           ? finish_with<AddedFinisher<route, clips, false>>
                        : epilogue.code_type == NumberType::s16 ? finish_with<WordFinisher<route, clips>>
                        : epilogue.code_type == NumberType::s8  ? finish_bytes<route, clips, true>
                                                                : finish_bytes<route, clips, false>;
  function(epilogue, panel, accumulators, stride, row, rows, second, out);
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
    Adder add(epilogue);
    add.use(epilogue.panels[column / panel_columns]);
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
  else if (epilogue.route == Route::whole)
    (epilogue.clips ? finish<Route::whole, true> : finish<Route::whole, false>)(epilogue, panel, accumulators, stride, row,
                                                                              rows, second, out);
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
