// ops/shiftgelu.py
#include "rows/driver.h"
#include "rows/gated.h"
#include "rows/rows.h"
#include "rows/shift_exponential.h"

namespace fullint::detail {
namespace {

// A class of values and not of references, so that compilers see what a loop leaves as it is.
class ShiftGelu {
 public:
  explicit ShiftGelu(const RowGelu& gelu)
      : exponential_(gelu.factor, gelu.fraction_bits, gelu.octaves, gelu.natural != 0),
        gated_(gelu),
        shift_(31 - gelu.gate_bits),
        half_(static_cast<uint32_t>(gelu.rounding) << (shift_ - 1)),
        zero_x_(gelu.zero_x) {}

  int32_t centred(int32_t value) const { return value - zero_x_; }

  // `zero`: the exponential of `largest`, which is 0 or more.
  int32_t operator()(int32_t centred, int32_t largest, int32_t zero) const {
    const int32_t own = exponential_(largest - centred);
    // Doubles divide such numbers exactly enough to be cut off, and vectors of them there are.
    const auto inverse = static_cast<int32_t>(static_cast<double>(INT32_MAX) / static_cast<double>(own + zero));
    const uint32_t gate = (static_cast<uint32_t>(own) * static_cast<uint32_t>(inverse) + half_) >> shift_;
    return gated_(centred, static_cast<int32_t>(gate));
  }
  int32_t exponential(int32_t below) const { return exponential_(below); }

 private:
  ShiftExponential exponential_;
  Gated gated_;
  int32_t shift_;
  uint32_t half_;
  int32_t zero_x_;
};

void by_elements(const ShiftGelu gelu, int64_t columns, int32_t* values) {
  for (int64_t column = 0; column < columns; ++column) {
    const int32_t centred = gelu.centred(values[column]), largest = most_of(centred, 0);
    values[column] = gelu(centred, largest, gelu.exponential(largest));
  }
}

void by_row_maximum(const ShiftGelu gelu, int64_t columns, int32_t* values) {
  const int32_t largest = most_of(gelu.centred(largest_of(values, columns)), 0), zero = gelu.exponential(largest);
  for (int64_t column = 0; column < columns; ++column) values[column] = gelu(gelu.centred(values[column]), largest, zero);
}

}  // namespace

namespace FULLINT_SET {

void shiftgelu(const RowGelu& gelu, const RowTypes& types, int64_t rows, const ConstRows& x, const Rows& out) {
  const ShiftGelu shift_gelu(gelu);
  const auto change = gelu.row_maximum != 0 ? by_row_maximum : by_elements;
  for_each_row(types, rows, x, out, [&](int32_t* values) { change(shift_gelu, types.columns, values); });
}

}  // namespace FULLINT_SET
}  // namespace fullint::detail
