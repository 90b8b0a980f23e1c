// What happens to accumulators (and, alone, the elementwise operations), portable.
#include "fixed_point.h"
#include "portable.h"

namespace fullint::detail {
namespace {

int64_t add_second(const AdditionData& addition, int64_t column, int64_t a, int64_t b) {
  const int64_t weighted =
      (a - addition.zero_a) * addition.multiplier_a[column] + (b - addition.zero_b) * addition.multiplier_b[column];
  return clip(shift_right(weighted, addition.shift[column]) + addition.zero_point, addition.low,
                             addition.high);
}

int64_t finish(const EpilogueData& epilogue, int64_t column, int64_t value, const void* second) {
  if (epilogue.bias != nullptr) value += epilogue.bias[column];
  if (epilogue.requantizes) {
    const RequantizeData& factors = epilogue.requantize;
    value = requantize(value, factors.pre_shift[column], factors.multiplier[column], factors.shift[column],
                       factors.intermediate_bits);
    value = clip(value + factors.zero_point, factors.low, factors.high);
  }
  if (epilogue.has_table) value = load(epilogue.table, epilogue.table_output, value & 255);
  if (epilogue.adds)
    value = add_second(epilogue.addition, column, value, load(second, epilogue.second_type, column));
  return value;
}

}  // namespace

void finish_portable(const EpilogueData& epilogue, NumberType x_type, int64_t rows, const ConstRows& x,
                     const ConstRows& second, const Rows& out) {
  for (int64_t row = 0; row < rows; ++row) {
    const void* x_row = row_of(x, x_type, row);
    const void* second_row = epilogue.adds ? row_of(second, epilogue.second_type, row) : nullptr;
    void* out_row = row_of(out, epilogue.output_type, row);
    for (int64_t column = 0; column < epilogue.columns; ++column)
      store(out_row, epilogue.output_type, column, finish(epilogue, column, load(x_row, x_type, column), second_row));
  }
}

void lookup_portable(const uint8_t* table, int64_t columns, int64_t rows, const ConstRows& x, const Rows& out) {
  for (int64_t row = 0; row < rows; ++row) {
    const auto* from = static_cast<const uint8_t*>(x.data) + row * x.row_stride;
    auto* to = static_cast<uint8_t*>(out.data) + row * out.row_stride;
    for (int64_t column = 0; column < columns; ++column) to[column] = table[from[column]];
  }
}

}  // namespace fullint::detail
