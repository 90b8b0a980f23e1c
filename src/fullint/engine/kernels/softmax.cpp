// The three softmax operations, one row at a time, portable.
#include <algorithm>

#include "fixed_point.h"
#include "kernels.h"
#include "portable.h"

namespace fullint::detail {
namespace {

class Distances {
 public:
  Distances(int64_t columns, const int32_t* scores, int32_t pre_shift, int32_t multiplier, int32_t shift)
      : scores_(scores), pre_shift_(pre_shift), multiplier_(multiplier), shift_(shift) {
    maximum_ = *std::max_element(scores, scores + columns);
  }
  int32_t operator[](int64_t column) const {
    const int64_t below = maximum_ - scores_[column];
    return static_cast<int32_t>(least(requantize(below, pre_shift_, multiplier_, shift_, 16), 32767));
  }

 private:
  const int32_t* scores_;
  int32_t pre_shift_, multiplier_, shift_;
  int64_t maximum_;
};

int64_t sum_of_exponentials(const Distances& distances, int64_t columns) {
  int64_t sum = 0;
  for (int64_t column = 0; column < columns; ++column) sum += exponential(distances[column], exponential_15_bits);
  return sum;
}

uint8_t code_of(AttentionKind kind, int32_t distance, int64_t row_sum, int32_t log2_rounding) {
  if (kind == AttentionKind::exponentials)
    return static_cast<uint8_t>((exponential(distance, exponential_codes) + 128) >> 8);
  if (kind == AttentionKind::softmax) {
    const auto [mantissa, exponent] = reciprocal(row_sum);
    const int64_t factor = (int64_t{mantissa} * 255) >> 8;
    return static_cast<uint8_t>(shift_right(exponential(distance, exponential_15_bits) * factor, exponent - 8));
  }
  const int32_t log2_sum = log2_fixed_10(row_sum) - (15 << 10);
  return static_cast<uint8_t>(clip((distance + log2_sum + log2_rounding) >> 10, 0, 15));
}

}  // namespace

void softmax_logarithms_portable(int64_t columns, const int32_t* scores, int32_t pre_shift, int32_t multiplier, int32_t shift,
                                 int32_t* logarithms) {
  const Distances distances(columns, scores, pre_shift, multiplier, shift);
  const int32_t log2_sum = log2_fixed_10(sum_of_exponentials(distances, columns)) - (15 << 10);
  for (int64_t column = 0; column < columns; ++column) logarithms[column] = distances[column] + log2_sum;
}

int64_t softmax_portable(AttentionKind kind, int64_t columns, const int32_t* scores, int32_t pre_shift, int32_t multiplier,
                         int32_t shift, int32_t log2_rounding, uint8_t* codes) {
  const Distances distances(columns, scores, pre_shift, multiplier, shift);
  const int64_t row_sum = kind == AttentionKind::exponentials ? 0 : sum_of_exponentials(distances, columns);
  int64_t code_sum = 0;
  for (int64_t column = 0; column < columns; ++column) {
    codes[column] = code_of(kind, distances[column], row_sum, log2_rounding);
    code_sum += codes[column];
  }
  return code_sum;
}

}  // namespace fullint::detail
