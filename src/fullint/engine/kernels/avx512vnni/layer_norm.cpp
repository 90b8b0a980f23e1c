// ops/layer_norm.py for values that fit int16: a few rows' sums, then their roots side by side, then their codes.
#include "avx512vnni/avx512.h"
#include "avx512vnni/epilogue.h"
#include "fixed_point.h"

namespace fullint::detail {
namespace {

constexpr int64_t rows_at_once = 8;

struct Statistics {
  int32_t total;
  int64_t squares;
};

// A row's factors: normalised = round(sat16(round(centred / 2^right)) * mantissa / 2^15).
struct RowFactor {
  int32_t total, mantissa, right;
};

// (x - zero) << channel_shift for 32 channels, zero after the last.
struct Loader {
  const LayerNormData& data;
  __m512i zero;

  explicit Loader(const LayerNormData& layer) : data(layer), zero(_mm512_set1_epi16(static_cast<int16_t>(layer.zero_x))) {}

  __m512i operator()(const char* row, int64_t channel) const {
    const __mmask32 mask = columns_mask(data.channels - channel);
    const __m512i words = load_words(row + channel * size_of(data.input_type), data.input_type, mask);
    if (data.no_channel_shift) return words;
    const __m512i shifts = _mm512_load_si512(data.panels[channel / panel_columns].high_shift);
    return _mm512_maskz_sllv_epi16(mask, _mm512_sub_epi16(words, zero), shifts);
  }
};

Statistics statistics_of(const Loader& load, const char* row) {
  const __m512i ones = _mm512_set1_epi16(1), low_half = _mm512_set1_epi64(0xffffffff);
  __m512i totals = _mm512_setzero_si512(), even_squares = totals, odd_squares = totals;
  for (int64_t channel = 0; channel < load.data.channels; channel += panel_columns) {
    const __m512i values = load(row, channel);
    totals = _mm512_add_epi32(totals, _mm512_madd_epi16(values, ones));
    // Two squares reach 2^31: unsigned.
    const __m512i squares = _mm512_madd_epi16(values, values);
    even_squares = _mm512_add_epi64(even_squares, _mm512_and_si512(squares, low_half));
    odd_squares = _mm512_add_epi64(odd_squares, _mm512_srli_epi64(squares, 32));
  }
  return {_mm512_reduce_add_epi32(totals), _mm512_reduce_add_epi64(_mm512_add_epi64(even_squares, odd_squares))};
}

RowFactor factor_of(const LayerNormData& data, const Statistics& statistics) {
  const int64_t total = statistics.total, variance = data.channels * statistics.squares - total * total;
  const MantissaExponent root = reciprocal_square_root(variance + data.epsilon);
  return {statistics.total, root.mantissa, root.exponent - data.fraction_bits - 15};
}

void normalise(const Loader& load, const char* row, const RowFactor& factor, char* out, const __m512i zero_point,
               const __m512i low, const __m512i high) {
  const LayerNormData& data = load.data;
  const int32_t right = factor.right > 0 ? factor.right : 0, left = factor.right < 0 ? -factor.right : 0;
  const __m512i start = _mm512_set1_epi32(((1 << right) >> 1) - factor.total);
  const __m128i right_count = _mm_cvtsi32_si128(right), left_count = _mm_cvtsi32_si128(left);
  const __m512i channels = _mm512_set1_epi32(static_cast<int32_t>(data.channels)), none = _mm512_setzero_si512();
  const __m512i mantissa = _mm512_set1_epi16(static_cast<int16_t>(factor.mantissa)), least_word = _mm512_set1_epi16(-32767);
  const auto numerator = [&](__m512i values_and_zeros) {
    const __m512i centred = _mm512_add_epi32(_mm512_madd_epi16(values_and_zeros, channels), start);
    return _mm512_sll_epi32(_mm512_sra_epi32(centred, right_count), left_count);
  };
  for (int64_t channel = 0; channel < data.channels; channel += panel_columns) {
    const Panel& panel = data.panels[channel / panel_columns];
    const __m512i values = load(row, channel);
    const __m512i numerators = _mm512_packs_epi32(numerator(_mm512_unpacklo_epi16(values, none)),
                                                  numerator(_mm512_unpackhi_epi16(values, none)));
    const __m512i normalised = _mm512_mulhrs_epi16(_mm512_max_epi16(numerators, least_word), mantissa);
    const __m512i first = _mm512_madd_epi16(_mm512_unpacklo_epi16(normalised, none), _mm512_load_si512(panel.pair_multiplier));
    const __m512i last = _mm512_madd_epi16(_mm512_unpackhi_epi16(normalised, none), _mm512_load_si512(panel.pair_multiplier + 32));
    const Accumulators starts = load_accumulators(panel.start), shift = load_accumulators(panel.shift);
    __m512i words = _mm512_packs_epi32(_mm512_srav_epi32(_mm512_add_epi32(first, starts.first), shift.first),
                                       _mm512_srav_epi32(_mm512_add_epi32(last, starts.second), shift.second));
    words = _mm512_min_epi16(_mm512_max_epi16(_mm512_adds_epi16(words, zero_point), low), high);
    store_words(out + channel * size_of(data.output_type), data.output_type, columns_mask(data.channels - channel), words);
  }
}

}  // namespace

void layer_norm_avx512(const LayerNormData& data, int64_t rows, const ConstRows& x, const Rows& out) {
  const Loader load(data);
  const __m512i zero_point = _mm512_set1_epi16(static_cast<int16_t>(data.zero_point));
  const __m512i low = _mm512_set1_epi16(static_cast<int16_t>(data.low)), high = _mm512_set1_epi16(static_cast<int16_t>(data.high));
  for (int64_t row = 0; row < rows; row += rows_at_once) {
    const int64_t count = least(rows_at_once, rows - row);
    Statistics statistics[rows_at_once];
    RowFactor factors[rows_at_once];
    for (int64_t i = 0; i < count; ++i) statistics[i] = statistics_of(load, element(x, data.input_type, row + i, 0));
    for (int64_t i = 0; i < count; ++i) factors[i] = factor_of(data, statistics[i]);
    for (int64_t i = 0; i < count; ++i)
      normalise(load, element(x, data.input_type, row + i, 0), factors[i], element(out, data.output_type, row + i, 0),
                zero_point, low, high);
  }
}

}  // namespace fullint::detail
