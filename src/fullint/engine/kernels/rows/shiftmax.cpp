// ops/shiftmax.py
#include "rows/lanes.h"
#include "rows/rows.h"
#include "rows/shift_exponential.h"

namespace fullint::detail::FULLINT_SET {

void shiftmax(const RowSoftmax& softmax, ScalarFactor factor, int64_t columns, int32_t* scores, uint16_t* results) {
  const ShiftExponential exponential(factor, softmax.fraction_bits, softmax.octaves, softmax.natural != 0);
  const int32_t maximum = largest_of(scores, columns);
  uint32_t sum = 0;
  for (int64_t column = 0; column < columns; ++column) {
    scores[column] = exponential(maximum - scores[column]);
    sum += static_cast<uint32_t>(scores[column]);
  }
  const uint32_t inverse = uint32_t{INT32_MAX} / sum;
  const int32_t shift = 31 - softmax.output_bits;
  const uint32_t half = static_cast<uint32_t>(softmax.rounding) << (shift - 1);
  const int32_t largest = (1 << softmax.output_bits) - 1;
  for (int64_t column = 0; column < columns; ++column) {
    const uint32_t weight = (static_cast<uint32_t>(scores[column]) * inverse + half) >> shift;
    results[column] = static_cast<uint16_t>(least_of(static_cast<int32_t>(weight), largest));
  }
}

}  // namespace fullint::detail::FULLINT_SET
