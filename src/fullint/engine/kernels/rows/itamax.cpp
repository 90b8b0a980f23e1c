// ops/itamax.py
#include "rows/rows.h"
#include "rows/running_maximum.h"

namespace fullint::detail::FULLINT_SET {

void itamax(const RowSoftmax& softmax, ScalarFactor factor, int64_t columns, int32_t* scores, uint16_t* results) {
  constexpr int32_t sum_bits = 8;
  constexpr uint32_t numerator = 255 << sum_bits;
  to_codes(softmax, factor, columns, scores);
  const Segments segments(scores, columns, softmax.group);
  const Log2Exp log2_exp(softmax.fraction_bits, false);
  const uint32_t sum = exponents_and_sum(segments, log2_exp, sum_bits, largest_shift, scores, results);
  const uint32_t quotient = (numerator + (softmax.rounding != 0 ? sum >> 1 : 0)) / sum;
  const uint32_t rounding = softmax.rounding != 0 ? 1 : 0;
  for (int64_t column = 0; column < columns; ++column) {
    const int32_t exponent = log2_exp(segments.maximum() - scores[column]);
    results[column] = static_cast<uint16_t>((quotient + (rounding << exponent >> 1)) >> exponent);
  }
}

}  // namespace fullint::detail::FULLINT_SET
