#include "amx/averages.h"

#include "avx512vnni/epilogue.h"

namespace fullint::detail {
namespace {

constexpr int64_t sum_stride = 64;

// The factors of 16 rows, see average_factor in fixed_point.h; the shift is 15.
struct RowFactors {
  alignas(64) int32_t start[16], pre_shift[16], multiplier[16];

  RowFactors(const AttentionData& data, __m512i weight_sums) {
    // Less than 2^24, so exact as floats, whose exponent is the bit length.
    const __m512 below = _mm512_cvtepi32_ps(_mm512_sub_epi32(weight_sums, _mm512_set1_epi32(1)));
    const __m512i exponent = _mm512_srli_epi32(_mm512_castps_si512(below), 23);  // 126 + bit length
    const __m512 power = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(exponent, _mm512_set1_epi32(15)), 23));
    // floor(2^(14 + bit length) / sum): a quotient that is no integer is further from one than doubles are from it.
    const auto quotient = [](__m256 numerator, __m256i denominator) {
      return _mm512_cvttpd_epi32(_mm512_div_pd(_mm512_cvtps_pd(numerator), _mm512_cvtepi32_pd(denominator)));
    };
    const __m256i low = quotient(_mm512_castps512_ps256(power), _mm512_castsi512_si256(weight_sums));
    const __m256i high = quotient(_mm512_extractf32x8_ps(power, 1), _mm512_extracti64x4_epi64(weight_sums, 1));
    const __m512i mantissa = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    const __m512i shift = _mm512_add_epi32(exponent, _mm512_set1_epi32(data.value_bits - 15 - 126));
    const __m512i rounding = _mm512_srli_epi32(_mm512_sllv_epi32(_mm512_set1_epi32(1), shift), 1);
    const __m512i zero_term = _mm512_mullo_epi32(weight_sums, _mm512_set1_epi32(data.zero_value));
    _mm512_store_si512(start, _mm512_sub_epi32(rounding, zero_term));
    _mm512_store_si512(pre_shift, shift);
    _mm512_store_si512(multiplier, _mm512_or_si512(mantissa, _mm512_slli_epi32(mantissa, 16)));
  }
};

// 32 columns of one row to averages, in natural order.
inline __m512i average(const RowFactors& factors, int64_t row, const int32_t* sums) {
  const __m512i start = _mm512_set1_epi32(factors.start[row]), pre_shift = _mm512_set1_epi32(factors.pre_shift[row]);
  const Accumulators values = load_accumulators(sums);
  const __m512i words = _mm512_packs_epi32(_mm512_srav_epi32(_mm512_add_epi32(values.first, start), pre_shift),
                                           _mm512_srav_epi32(_mm512_add_epi32(values.second, start), pre_shift));
  return _mm512_mulhrs_epi16(words, _mm512_set1_epi32(factors.multiplier[row]));
}

// Averages to bytes by the route `high`, whose 16-bit intermediates they are.
template <bool clips, bool is_signed>
class ToBytes {
 public:
  ToBytes(const EpilogueData& epilogue, int64_t panel)
      : multiplier_(_mm512_load_si512(epilogue.panels[panel].multiplier)),
        start_(_mm512_load_si512(epilogue.panels[panel].high_start)),
        scale_(_mm512_load_si512(epilogue.panels[panel].high_scale)),
        low_(_mm512_set1_epi16(static_cast<int16_t>(epilogue.requantize.low))),
        high_(_mm512_set1_epi16(static_cast<int16_t>(epilogue.requantize.high))) {}

  __m512i operator()(__m512i words) const {
    words = _mm512_mulhrs_epi16(_mm512_adds_epi16(_mm512_mulhi_epi16(words, multiplier_), start_), scale_);
    return clips ? _mm512_min_epi16(_mm512_max_epi16(words, low_), high_) : words;
  }
  static __m512i pack(__m512i first, __m512i last) {
    const __m512i bytes = is_signed ? _mm512_packs_epi16(first, last) : _mm512_packus_epi16(first, last);
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), bytes);
  }

 private:
  __m512i multiplier_, start_, scale_, low_, high_;
};

template <bool clips, bool is_signed>
void finish_bytes(const EpilogueData& epilogue, const RowFactors& factors, const int32_t* sums, int64_t first, int64_t height,
                  int64_t row, const Rows& out) {
  const bool two_panels = epilogue.columns > panel_columns;
  const ToBytes<clips, is_signed> to_first(epilogue, 0), to_second(epilogue, two_panels ? 1 : 0);
  const __mmask64 mask = epilogue.columns >= 64 ? ~__mmask64{0} : (__mmask64{1} << epilogue.columns) - 1;
  for (int64_t i = first; i < height; ++i) {
    const int32_t* from = sums + i * sum_stride;
    const __m512i words = to_first(average(factors, i, from));
    const __m512i others = two_panels ? to_second(average(factors, i, from + panel_columns)) : words;
    _mm512_mask_storeu_epi8(element(out, NumberType::u8, row + i, 0), mask, ToBytes<clips, is_signed>::pack(words, others));
  }
}

// Whether the averages are the intermediates of a requantization to bytes.
bool goes_to_bytes(const EpilogueData& epilogue) {
  if (!epilogue.requantizes || epilogue.route != Route::high || size_of(epilogue.output_type) != 1) return false;
  for (int64_t column = 0; column < epilogue.columns; ++column)
    if (epilogue.requantize.pre_shift[column] != 0) return false;
  return true;
}

}  // namespace

bool suits_averages(const AttentionData& data) {
  // A row's sum is at least 255, so the pre-shift is not negative, and the shift is 29 less both.
  return data.value_bits >= 7 && data.value_bits + data.fraction_bits == 14;
}

Averages::Averages(const AttentionData& data) : data_(data), goes_to_bytes_(goes_to_bytes(data.epilogue)) {}

void Averages::finish(int32_t* sums, __m512i weight_sums, int64_t first, int64_t height, int64_t row, const Rows& out) const {
  const EpilogueData& epilogue = data_.epilogue;
  const RowFactors factors(data_, weight_sums);
  if (goes_to_bytes_) {
    const bool is_signed = epilogue.code_type == NumberType::s8;
    const auto finish = epilogue.clips ? (is_signed ? finish_bytes<true, true> : finish_bytes<true, false>)
                                       : (is_signed ? finish_bytes<false, true> : finish_bytes<false, false>);
    return finish(epilogue, factors, sums, first, height, row, out);
  }
  for (int64_t i = first; i < height; ++i)
    for (int64_t column = 0; column < epilogue.columns; column += panel_columns) {
      int32_t* panel = sums + i * sum_stride + column;
      const Accumulators values = widen(average(factors, i, panel));
      _mm512_store_si512(panel, values.first);
      _mm512_store_si512(panel + 16, values.second);
    }
  finish_values_avx512(epilogue, sums + first * sum_stride, sum_stride, row + first, height - first, out);
}

}  // namespace fullint::detail
