// ops/e2softmax.py's exponents_and_sum: scores read in groups that share a running maximum.
#pragma once

#include "fixed_point.h"
#include "rows/lanes.h"

namespace fullint::detail {
namespace {

constexpr int32_t largest_shift = 31;

// log2_exp, of one difference of codes.
class Log2Exp {
 public:
  Log2Exp(int32_t fraction_bits, bool natural) : shift_(fraction_bits + (natural ? 4 : 0)), factor_(natural ? 23 : 1) {}
  int32_t operator()(int32_t below) const { return least_of(shift_(factor_ * below), largest_shift); }

 private:
  RoundedShift shift_;
  int32_t factor_;
};

// Scores to codes, in place.
inline void to_codes(const RowSoftmax& softmax, ScalarFactor factor, int64_t columns, int32_t* scores) {
  const Rescaling rescaled(factor);
  for (int64_t column = 0; column < columns; ++column)
    scores[column] = clip_to(rescaled(scores[column]) + softmax.zero_point, 0, 255);
}

// Elements from `begin` to `end` that share a running maximum.
struct Segment {
  int64_t begin, end;
  int32_t maximum;
};

// Codes have 256 values, so no row has more segments. Groups change the maximum few times a row, so that they are looked at
// one by one only where some hold a larger code.
class Segments {
 public:
  Segments(const int32_t* codes, int64_t columns, int64_t group) {
    add(0, largest_of(codes, least(group, columns)));
    const int64_t stretch = (63 / group + 1) * group;
    for (int64_t from = 0; from < columns; from += stretch) {
      const int64_t to = least(from + stretch, columns);
      if (largest_of(codes + from, to - from) <= maximum()) continue;
      for (int64_t begin = from; begin < to; begin += group) {
        const int32_t largest = largest_of(codes + begin, least(group, to - begin));
        if (largest > maximum()) add(begin, largest);
      }
    }
    list_[count_ - 1].end = columns;
  }

  const Segment* begin() const { return list_; }
  const Segment* end() const { return list_ + count_; }
  // The row's.
  int32_t maximum() const { return list_[count_ - 1].maximum; }

 private:
  void add(int64_t begin, int32_t maximum) {
    if (count_ > 0) list_[count_ - 1].end = begin;
    list_[count_++] = {begin, begin, maximum};
  }

  Segment list_[256];
  int64_t count_ = 0;
};

// Exponents of the codes below their segment's maximum, and the sum of 2^(sum_bits - exponent), cut off as the maximum changes.
inline uint32_t exponents_and_sum(const Segments& segments, const Log2Exp& log2_exp, int32_t sum_bits, int32_t largest,
                                  const int32_t* codes, uint16_t* exponents) {
  uint32_t sum = 0;
  int32_t previous = segments.begin()->maximum;
  for (const Segment& segment : segments) {
    uint32_t part = 0;
    for (int64_t column = segment.begin; column < segment.end; ++column) {
      const int32_t exponent = least_of(log2_exp(segment.maximum - codes[column]), largest);
      exponents[column] = static_cast<uint16_t>(exponent);
      part += uint32_t{1} << sum_bits >> exponent;
    }
    sum = (sum >> log2_exp(segment.maximum - previous)) + part;
    previous = segment.maximum;
  }
  return sum;
}

}  // namespace
}  // namespace fullint::detail
