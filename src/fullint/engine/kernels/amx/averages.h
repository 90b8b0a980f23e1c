// ops/weighted_average.py and the requantization after it, for 16 rows of sums of up to 64 columns.
#pragma once

#include <immintrin.h>

#include "data.h"

namespace fullint::detail {

bool suits_averages(const AttentionData& data);

class Averages {
 public:
  explicit Averages(const AttentionData& data);

  // sums (16, 64), panels of 32 in tile order; weight_sums: of each row. Rows [first, height) go to rows `row` + i of `out`.
  // The sums are changed.
  void finish(int32_t* sums, __m512i weight_sums, int64_t first, int64_t height, int64_t row, const Rows& out) const;

 private:
  const AttentionData& data_;
  bool goes_to_bytes_;
};

}  // namespace fullint::detail
