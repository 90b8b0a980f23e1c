// ops/layer_norm.py for values that fit int16: a few rows' sums, then their roots side by side, then their codes, two rows
// at a time. See data.h for the order of channels.
#include "avx512vnni/avx512.h"
#include "avx512vnni/epilogue.h"
#include "fixed_point.h"

namespace fullint::detail {
namespace {

constexpr int64_t rows_at_once = 8;

struct Statistics {
  int64_t total, squares;
};

// A row's factors: normalised = round(sat16(round(centred / 2^right)) * mantissa / 2^15).
struct RowFactor {
  int64_t total;
  int32_t mantissa, right;
};

// Calls panel(number, mask) for every 32 channels; the mask is a constant but for the last ones.
template <typename Function>
FULLINT_INLINE void for_each_panel(int64_t channels, Function&& panel) {
  const int64_t full = channels / panel_columns;
  const __mmask32 all = ~__mmask32{0};
  for (int64_t i = 0; i < full; ++i) panel(i, all);
  if (channels % panel_columns != 0) panel(full, columns_mask(channels % panel_columns));
}

// (x - zero) << channel_shift for 32 channels, zeros after the last. `plain`: int16 as they are.
template <bool plain>
struct Loader {
  const LayerNormData& data;
  __m512i zero;

  explicit Loader(const LayerNormData& layer) : data(layer), zero(_mm512_set1_epi16(static_cast<int16_t>(layer.zero_x))) {}

  FULLINT_INLINE __m512i operator()(const char* row, int64_t panel, __mmask32 mask) const {
    if constexpr (plain) return _mm512_maskz_loadu_epi16(mask, row + panel * panel_columns * 2);
    const __m512i words = load_words(row + panel * panel_columns * size_of(data.input_type), data.input_type, mask);
    const __m512i shifts = _mm512_load_si512(data.split_panels[panel].channel_shift);
    return _mm512_maskz_sllv_epi16(mask, _mm512_sub_epi16(words, zero), shifts);
  }
};

// Modulo 2^32.
FULLINT_INLINE uint32_t sum_of(__m512i lanes) {
  const __m256i eight = _mm256_add_epi32(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1));
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1))));
}

// The sum of squares is found from its value modulo 2^32 and from the sum of the squares' high halves, which is less by
// fewer than 2^15 times 2^16: no 64-bit lanes in the loop.
template <typename Loader>
Statistics statistics_of(const Loader& load, const char* row) {
  const __m512i ones = _mm512_set1_epi16(1);
  __m512i totals = _mm512_setzero_si512(), squares = totals, high_halves = totals;
  for_each_panel(load.data.channels, [&](int64_t panel, __mmask32 mask)  {
    const __m512i values = load(row, panel, mask);
    totals = _mm512_dpwssd_epi32(totals, values, ones);
    squares = _mm512_dpwssd_epi32(squares, values, values);
    high_halves = _mm512_dpwssd_epi32(high_halves, _mm512_mulhi_epi16(values, values), ones);
  });
  const int64_t least_squares = int64_t{sum_of(high_halves)} << 16;
  const uint32_t rest = sum_of(squares) - static_cast<uint32_t>(least_squares);
  return {static_cast<int32_t>(sum_of(totals)), least_squares + rest};
}

RowFactor factor_of(const LayerNormData& data, const Statistics& statistics) {
  const int64_t variance = data.channels * statistics.squares - statistics.total * statistics.total;
  const MantissaExponent root = reciprocal_square_root(variance + data.epsilon);
  return {statistics.total, root.mantissa, root.exponent - data.fraction_bits - 15};
}

// Normalised values of one row.
class Normaliser {
 public:
  Normaliser(const LayerNormData& data, const RowFactor& factor) {
    const int32_t right = factor.right > 0 ? factor.right : 0;
    shifts_left_ = factor.right < 0;
    start_ = _mm512_set1_epi32(static_cast<int32_t>(((1 << right) >> 1) - factor.total));
    right_ = _mm512_set1_epi32(right);
    left_ = _mm512_set1_epi32(shifts_left_ ? -factor.right : 0);
    even_channels_ = _mm512_set1_epi32(static_cast<int32_t>(data.channels));
    odd_channels_ = _mm512_slli_epi32(even_channels_, 16);
    mantissa_ = _mm512_set1_epi16(static_cast<int16_t>(factor.mantissa));
  }

  // From natural to split order.
  FULLINT_INLINE __m512i operator()(__m512i values) const {
    const __m512i numerators = _mm512_packs_epi32(numerator(values, even_channels_), numerator(values, odd_channels_));
    return _mm512_mulhrs_epi16(_mm512_max_epi16(numerators, _mm512_set1_epi16(-32767)), mantissa_);
  }

 private:
  FULLINT_INLINE __m512i numerator(__m512i values, __m512i channels) const {
    const __m512i centred = _mm512_srav_epi32(_mm512_dpwssd_epi32(start_, values, channels), right_);
    return shifts_left_ ? _mm512_sllv_epi32(centred, left_) : centred;
  }

  __m512i start_, right_, left_, even_channels_, odd_channels_, mantissa_;
  bool shifts_left_;
};

// (n * multiplier + start) >> shift, saturated to int16, where it may be found in 16-bit lanes.
FULLINT_INLINE __m512i affine_words(const LayerNormPanel& panel, __m512i normalised) {
  const __m512i multiplier = _mm512_load_si512(panel.multiplier);
  const __m512i high = _mm512_add_epi16(_mm512_mulhi_epi16(normalised, multiplier), _mm512_load_si512(panel.start_high));
  const __mmask32 carries =
      _mm512_cmpgt_epu16_mask(_mm512_mullo_epi16(normalised, multiplier), _mm512_load_si512(panel.largest_low));
  const __m512i sum = _mm512_mask_sub_epi16(high, carries, high, _mm512_set1_epi16(-1));
  return _mm512_srav_epi16(sum, _mm512_load_si512(panel.shift));
}

// The same in 32-bit lanes.
FULLINT_INLINE __m512i affine_wide(const LayerNormPanel& panel, __m512i normalised) {
  const auto half = [&](__m512i pairs, int64_t first) {
    const __m512i product = _mm512_dpwssd_epi32(_mm512_load_si512(panel.wide_start + first), pairs,
                                                _mm512_load_si512(panel.wide_multiplier + first));
    return _mm512_srav_epi32(product, _mm512_load_si512(panel.wide_shift + first));
  };
  const __m512i none = _mm512_setzero_si512();
  return _mm512_packs_epi32(half(_mm512_unpacklo_epi16(normalised, none), 0),
                            half(_mm512_unpackhi_epi16(normalised, none), 16));
}

// Words in split order to codes in natural order, in memory.
class Writer {
 public:
  explicit Writer(const LayerNormData& data)
      : data_(data),
        zero_point_(_mm512_set1_epi16(static_cast<int16_t>(data.zero_point))),
        low_(_mm512_set1_epi16(static_cast<int16_t>(data.low))),
        high_(_mm512_set1_epi16(static_cast<int16_t>(data.high))) {}

  FULLINT_INLINE void operator()(int64_t channel, __mmask32 mask, __m512i first, __m512i second, char* first_row,
                                 char* second_row) const {
    first = code(first);
    second = code(second);
    if (data_.output_type == NumberType::s16) {
      const __m512i natural = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
      _mm512_mask_storeu_epi16(second_row + 2 * channel, mask, _mm512_shuffle_epi8(second, natural));
      _mm512_mask_storeu_epi16(first_row + 2 * channel, mask, _mm512_shuffle_epi8(first, natural));
      return;
    }
    const __m512i natural = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15));
    const __m512i packed =
        data_.output_type == NumberType::u8 ? _mm512_packus_epi16(first, second) : _mm512_packs_epi16(first, second);
    const __m512i bytes =
        _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), _mm512_shuffle_epi8(packed, natural));
    _mm256_mask_storeu_epi8(second_row + channel, mask, _mm512_extracti64x4_epi64(bytes, 1));
    _mm256_mask_storeu_epi8(first_row + channel, mask, _mm512_castsi512_si256(bytes));
  }

 private:
  FULLINT_INLINE __m512i code(__m512i words) const {
    words = _mm512_adds_epi16(words, zero_point_);
    return data_.clips ? _mm512_min_epi16(_mm512_max_epi16(words, low_), high_) : words;
  }

  const LayerNormData& data_;
  __m512i zero_point_, low_, high_;
};

template <bool plain>
void run(const LayerNormData& data, int64_t rows, const ConstRows& x, const Rows& out) {
  const Loader<plain> load(data);
  const Writer write(data);
  for (int64_t row = 0; row < rows; row += rows_at_once) {
    const int64_t count = least(rows_at_once, rows - row);
    Statistics statistics[rows_at_once];
    RowFactor factors[rows_at_once];
    for (int64_t i = 0; i < count; ++i) statistics[i] = statistics_of(load, element(x, data.input_type, row + i, 0));
    for (int64_t i = 0; i < count; ++i) factors[i] = factor_of(data, statistics[i]);
    for (int64_t i = 0; i < count; i += 2) {
      const int64_t next = i + 1 < count ? i + 1 : i;  // of an odd number the last row twice
      const Normaliser first(data, factors[i]), second(data, factors[next]);
      const char *first_x = element(x, data.input_type, row + i, 0), *second_x = element(x, data.input_type, row + next, 0);
      char *first_out = element(out, data.output_type, row + i, 0), *second_out = element(out, data.output_type, row + next, 0);
      for_each_panel(data.channels, [&](int64_t index, __mmask32 mask) {
        const LayerNormPanel& panel = data.split_panels[index];
        __m512i one = first(load(first_x, index, mask)), two = second(load(second_x, index, mask));
        one = panel.fits_words ? affine_words(panel, one) : affine_wide(panel, one);
        two = panel.fits_words ? affine_words(panel, two) : affine_wide(panel, two);
        write(index * panel_columns, mask, one, two, first_out, second_out);
      });
    }
  }
}

}  // namespace

void layer_norm_avx512(const LayerNormData& data, int64_t rows, const ConstRows& x, const Rows& out) {
  const bool plain = data.input_type == NumberType::s16 && data.no_channel_shift;
  (plain ? run<true> : run<false>)(data, rows, x, out);
}

}  // namespace fullint::detail
