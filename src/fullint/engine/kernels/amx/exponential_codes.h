// ops/exponentials.py for 32 scores in 16-bit lanes.
#pragma once

#include <immintrin.h>

#include "avx512vnni/attention.h"
#include "fixed_point.h"

namespace fullint::detail {
namespace {

template <bool whole>
class ExponentialCodes {
 public:
  explicit ExponentialCodes(const AttentionData& data)
      : pre_shift_(_mm512_set1_epi32(data.pre_shift)),
        fraction_(_mm512_set1_epi16(static_cast<int16_t>(DistanceFactor(data).fraction))),
        amplitude_(_mm512_set1_epi16(static_cast<int16_t>(exponential_codes.amplitude))),
        slope_(_mm512_set1_epi16(static_cast<int16_t>(exponential_codes.slope))),
        curvature_(_mm512_set1_epi16(static_cast<int16_t>(exponential_codes.curvature))),
        half_(_mm512_set1_epi16(128)) {}

  // Maxima: of the rows of the first and the second register, with the rounding of the pre-shift added. Each result is the
  // high byte of its word; the order is that of packing: four of the first register's, four of the second's, and so on.
  __m512i operator()(__m512i first_maximum, __m512i second_maximum, __m512i first, __m512i second) const {
    const __m512i below = _mm512_packs_epi32(_mm512_srav_epi32(_mm512_sub_epi32(first_maximum, first), pre_shift_),
                                             _mm512_srav_epi32(_mm512_sub_epi32(second_maximum, second), pre_shift_));
    // Up to 2^16 with no sign; those from 2^15 on, which are to be cut off there, leave nothing either.
    __m512i distances = _mm512_mulhrs_epi16(below, fraction_);
    if constexpr (whole) distances = _mm512_add_epi16(distances, below);
    const __m512i fraction = _mm512_slli_epi16(distances, 6);
    const __m512i inner = _mm512_sub_epi16(slope_, _mm512_mulhi_epu16(fraction, curvature_));
    const __m512i mantissa = _mm512_sub_epi16(amplitude_, _mm512_mulhi_epu16(fraction, inner));
    // Counts of 16 and more, of which there may be up to 63, leave nothing.
    return _mm512_add_epi16(_mm512_srlv_epi16(mantissa, _mm512_srli_epi16(distances, 10)), half_);
  }

 private:
  __m512i pre_shift_, fraction_, amplitude_, slope_, curvature_, half_;
};

// The high bytes of words: those of `even` at even places, those of `odd` at odd ones.
inline __m512i high_bytes(__m512i even, __m512i odd) {
  // (even >> 8) | (odd & 0xff00)
  return _mm512_ternarylogic_epi32(_mm512_srli_epi16(even, 8), odd, _mm512_set1_epi16(static_cast<int16_t>(0xff00)), 0xf8);
}

// op over the 16 lanes of each of 16 registers: lane i of the result is that of rows[i].
template <typename Operation>
inline __m512i reduce_rows(const __m512i* rows, const Operation& op) {
  __m512i pairs[8], quads[4], octets[2];
  for (int i = 0; i < 8; ++i)
    pairs[i] = op(_mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]), _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]));
  for (int i = 0; i < 4; ++i)
    quads[i] = op(_mm512_unpacklo_epi64(pairs[2 * i], pairs[2 * i + 1]), _mm512_unpackhi_epi64(pairs[2 * i], pairs[2 * i + 1]));
  for (int i = 0; i < 2; ++i)
    octets[i] = op(_mm512_shuffle_i32x4(quads[2 * i], quads[2 * i + 1], 0x88),
                   _mm512_shuffle_i32x4(quads[2 * i], quads[2 * i + 1], 0xdd));
  return op(_mm512_shuffle_i32x4(octets[0], octets[1], 0x88), _mm512_shuffle_i32x4(octets[0], octets[1], 0xdd));
}

}  // namespace
}  // namespace fullint::detail
