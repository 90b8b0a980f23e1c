// ops/e2softmax.py. Scores become codes, these become exponents below the maximum that their group has seen, in place.
#include "fixed_point.h"
#include "rows/lanes.h"
#include "rows/rows.h"

namespace fullint::detail {
namespace {

constexpr int32_t largest_code = 15, largest_shift = 31;

// log2_exp, of one difference of codes.
class Log2Exp {
 public:
  explicit Log2Exp(const RowSoftmax& softmax)
      : shift_(softmax.fraction_bits + (softmax.natural != 0 ? 4 : 0)), factor_(softmax.natural != 0 ? 23 : 1) {}
  int32_t operator()(int32_t below) const { return least_of(shift_(factor_ * below), largest_shift); }

 private:
  RoundedShift shift_;
  int32_t factor_;
};

// Elements from `begin` on that share a running maximum.
struct Segment {
  int64_t begin;
  int32_t maximum;
};

// Codes have 256 values, so no row has more segments.
struct Segments {
  Segment list[256];
  int64_t count = 0;
};

// Groups change the maximum few times a row, so that they are looked at one by one only where some hold a larger code.
void find_segments(const int32_t* codes, int64_t columns, int64_t group, Segments& segments) {
  const int64_t stretch = (63 / group + 1) * group;
  segments.list[0] = {0, largest_of(codes, least(group, columns))};
  segments.count = 1;
  int32_t maximum = segments.list[0].maximum;
  for (int64_t from = 0; from < columns; from += stretch) {
    const int64_t to = least(from + stretch, columns);
    if (largest_of(codes + from, to - from) <= maximum) continue;
    for (int64_t begin = from; begin < to; begin += group) {
      const int32_t largest = largest_of(codes + begin, least(group, to - begin));
      if (largest <= maximum) continue;
      maximum = largest;
      segments.list[segments.count++] = {begin, maximum};
    }
  }
}

// Codes to exponents below their segment's maximum; returns the sum of the powers, cut off as the maximum changes.
int64_t to_exponents(const Segments& segments, const Log2Exp& log2_exp, int64_t columns, int32_t* values) {
  uint32_t sum = 0;
  int32_t previous = segments.list[0].maximum;
  for (int64_t i = 0; i < segments.count; ++i) {
    const auto [begin, maximum] = segments.list[i];
    const int64_t end = i + 1 < segments.count ? segments.list[i + 1].begin : columns;
    uint32_t part = 0;
    for (int64_t column = begin; column < end; ++column) {
      const int32_t exponent = least_of(log2_exp(maximum - values[column]), largest_code);
      values[column] = exponent;
      part += uint32_t{1} << largest_code >> exponent;
    }
    sum = (sum >> log2_exp(maximum - previous)) + part;
    previous = maximum;
  }
  return sum;
}

}  // namespace

namespace FULLINT_SET {

void e2softmax(const RowSoftmax& softmax, ScoreFactor factor, int64_t columns, int32_t* scores, uint16_t* results) {
  const Rescaling rescaled(factor);
  for (int64_t column = 0; column < columns; ++column)
    scores[column] = clip_to(rescaled(scores[column]) + softmax.zero_point, 0, 255);
  Segments segments;
  find_segments(scores, columns, softmax.group, segments);
  const Log2Exp log2_exp(softmax);
  const int64_t sum = to_exponents(segments, log2_exp, columns, scores);
  const int32_t length = bit_length(static_cast<uint64_t>(sum)), upper_half = (sum >> (length - 2)) & 1;
  const uint32_t quotient = static_cast<uint32_t>(softmax.quotients[upper_half]);
  const int32_t largest = segments.list[segments.count - 1].maximum;
  for (int64_t i = 0; i < segments.count; ++i) {
    const auto [begin, maximum] = segments.list[i];
    const int64_t end = i + 1 < segments.count ? segments.list[i + 1].begin : columns;
    const int32_t correction = log2_exp(largest - maximum) + length - 1 - largest_code;
    if (softmax.output_bits == 4) {
      for (int64_t column = begin; column < end; ++column)
        results[column] = static_cast<uint16_t>(least_of(scores[column] + correction + upper_half, largest_code));
    } else {
      for (int64_t column = begin; column < end; ++column) {
        const int32_t exponent = least_of(scores[column] + correction, largest_code);
        results[column] = static_cast<uint16_t>((quotient + (uint32_t{1} << exponent >> 1)) >> exponent);
      }
    }
  }
}

}  // namespace FULLINT_SET
}  // namespace fullint::detail
