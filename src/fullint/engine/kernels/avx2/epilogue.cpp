// The ends of matrix products, and elementwise operations, AVX2.
#include "avx2/epilogue.h"

#include "avx2/avx2.h"

namespace fullint::detail {
namespace {

void store_accumulators(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t row, const Rows& out) {
  const int64_t first_column = panel * panel_columns, count = least(panel_columns, epilogue.columns - first_column);
  auto* to = reinterpret_cast<int32_t*>(element(out, NumberType::s32, row, first_column));
  const int32_t* start = epilogue.panels[panel].start;
  for (int64_t position = 0; position < panel_columns; ++position)
    if (tile_order(position) < count)
      to[tile_order(position)] =
          static_cast<int32_t>(static_cast<uint32_t>(accumulators[position]) + static_cast<uint32_t>(start[position]));
}

// Codes of half a panel to memory, through table or addition.
void finish_words(const EpilogueData& epilogue, int64_t panel, int64_t half, int64_t row, __m256i words,
                  const ConstRows& second, const Rows& out) {
  const int64_t column = panel * panel_columns + 16 * half, count = least(16, epilogue.columns - column);
  if (epilogue.adds) {
    const NumberType type = epilogue.second_type;
    words = add_half(epilogue, epilogue.panels[panel], half, words, load_words_16(element(second, type, row, column), type, count));
  }
  char* to = element(out, epilogue.output_type, row, column);
  store_words_16(to, epilogue.output_type, count, words);
  if (!epilogue.has_table) return;
  auto* bytes = reinterpret_cast<uint8_t*>(to);
  for (int64_t i = 0; i < count; ++i) bytes[i] = epilogue.table[bytes[i]];
}

// Reads up to 32 numbers of any type as int32 in tile order.
void load_panel(const char* data, NumberType type, int64_t count, int32_t* values) {
  if (type == NumberType::s32) {
    const auto* from = reinterpret_cast<const int32_t*>(data);
    for (int64_t position = 0; position < panel_columns; ++position)
      values[position] = tile_order(position) < count ? from[tile_order(position)] : 0;
    return;
  }
  for (int64_t half = 0; half < 2 && 16 * half < count; ++half)
    store_half(values, half, widen_half(load_words_16(data + 16 * half * size_of(type), type, least(16, count - 16 * half))));
}

}  // namespace

void finish_panel_avx2(const EpilogueData& epilogue, int64_t panel, const int32_t* accumulators, int64_t stride, int64_t row,
                       int64_t rows, const ConstRows& second, const Rows& out) {
  const int64_t halves = epilogue.columns - panel * panel_columns > 16 ? 2 : 1;
  for (int64_t i = 0; i < rows; ++i, accumulators += stride) {
    if (epilogue.route == Route::none) {
      store_accumulators(epilogue, panel, accumulators, row + i, out);
      continue;
    }
    for (int64_t half = 0; half < halves; ++half)
      finish_words(epilogue, panel, half, row + i,
                   requantize_half(epilogue.requantize, epilogue.panels[panel], half, load_half(accumulators, half)), second,
                   out);
  }
}

void finish_avx2(const EpilogueData& epilogue, NumberType x_type, int64_t rows, const ConstRows& x, const ConstRows& second,
                 const Rows& out) {
  alignas(32) int32_t values[panel_columns] = {};
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < epilogue.columns; column += panel_columns) {
      const int64_t panel = column / panel_columns, count = least(panel_columns, epilogue.columns - column);
      if (epilogue.requantizes) {
        load_panel(element(x, x_type, row, column), x_type, count, values);
        finish_panel_avx2(epilogue, panel, values, panel_columns, row, 1, second, out);
        continue;
      }
      for (int64_t half = 0; half < 2 && 16 * half < count; ++half)
        finish_words(epilogue, panel, half, row,
                     load_words_16(element(x, x_type, row, column + 16 * half), x_type, least(16, count - 16 * half)), second,
                     out);
    }
}

}  // namespace fullint::detail
