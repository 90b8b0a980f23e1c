// ops/e2softmax.py
#include "rows/rows.h"
#include "rows/running_maximum.h"

namespace fullint::detail {
namespace {

constexpr int32_t largest_code = 15;

void to_log2_codes(const Segment& segment, int32_t correction, bool as_powers, uint16_t* results) {
  for (int64_t column = segment.begin; column < segment.end; ++column) {
    const int32_t code = least_of(results[column] + correction, largest_code);
    results[column] = static_cast<uint16_t>(as_powers ? 1 << largest_code >> code : code);
  }
}

void to_weights(const Segment& segment, int32_t correction, int32_t quotient, uint16_t* results) {
  for (int64_t column = segment.begin; column < segment.end; ++column) {
    const int32_t exponent = least_of(results[column] + correction, largest_code);
    results[column] = static_cast<uint16_t>((quotient + (1 << exponent >> 1)) >> exponent);
  }
}

}  // namespace

namespace FULLINT_SET {

void e2softmax(const RowSoftmax& softmax, ScalarFactor factor, int64_t columns, int32_t* scores, uint16_t* results) {
  to_codes(softmax, factor, columns, scores);
  const Segments segments(scores, columns, softmax.group);
  const Log2Exp log2_exp(softmax.fraction_bits, softmax.natural != 0);
  const uint32_t sum = exponents_and_sum(segments, log2_exp, largest_code, largest_code, scores, results);
  const int32_t length = bit_length(sum), upper_half = (sum >> (length - 2)) & 1;
  for (const Segment& segment : segments) {
    const int32_t correction = log2_exp(segments.maximum() - segment.maximum) + length - 1 - largest_code;
    if (softmax.output_bits == 4)
      to_log2_codes(segment, correction + upper_half, softmax.as_powers, results);
    else
      to_weights(segment, correction, softmax.quotients[upper_half], results);
  }
}

}  // namespace FULLINT_SET
}  // namespace fullint::detail
