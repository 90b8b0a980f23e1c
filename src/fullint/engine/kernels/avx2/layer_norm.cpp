// ops/layer_norm.py for values that fit int16, AVX2.
#include "avx2/avx2.h"
#include "avx2/epilogue.h"

namespace fullint::detail {
namespace {

// (x - zero) << channel_shift for 16 channels, zeros after the last.
struct Loader {
  const LayerNormData& data;

  __m256i operator()(const char* row, int64_t channel) const {
    const int64_t count = least(16, data.channels - channel);
    const __m256i words = load_words_16(row + channel * size_of(data.input_type), data.input_type, count);
    if (data.no_channel_shift) return words;
    // Shifts of 16-bit lanes are products with powers of two; those after the last channel become zero.
    alignas(32) int16_t powers[16];
    for (int64_t i = 0; i < 16; ++i)
      powers[i] = static_cast<int16_t>(i < count ? 1 << data.channel_shift[channel + i] : 0);
    const __m256i centred = _mm256_sub_epi16(words, _mm256_set1_epi16(static_cast<int16_t>(data.zero_x)));
    return _mm256_mullo_epi16(centred, load_constants(powers, 0));
  }
};

struct Statistics {
  int64_t total, squares;
};

int64_t sum_of(__m256i lanes) {
  alignas(32) int64_t four[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(four), lanes);
  return four[0] + four[1] + four[2] + four[3];
}

Statistics statistics_of(const Loader& load, const char* row) {
  const __m256i ones = _mm256_set1_epi16(1), low_half = _mm256_set1_epi64x(0xffffffff);
  __m256i totals = _mm256_setzero_si256(), squares = totals;
  for (int64_t channel = 0; channel < load.data.channels; channel += 16) {
    const __m256i values = load(row, channel);
    totals = _mm256_add_epi32(totals, _mm256_madd_epi16(values, ones));
    // Two squares reach 2^31: unsigned.
    const __m256i pairs = _mm256_madd_epi16(values, values);
    squares = _mm256_add_epi64(squares, _mm256_add_epi64(_mm256_and_si256(pairs, low_half), _mm256_srli_epi64(pairs, 32)));
  }
  alignas(32) int32_t eight[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(eight), totals);
  Statistics result{0, sum_of(squares)};
  for (int32_t lane : eight) result.total += lane;
  return result;
}

void normalise_row(const Loader& load, const char* row, char* out) {
  const LayerNormData& data = load.data;
  const auto [total, squares] = statistics_of(load, row);
  const MantissaExponent root = reciprocal_square_root(data.channels * squares - total * total + data.epsilon);
  const int32_t right = root.exponent - data.fraction_bits - 15;
  const int32_t down = static_cast<int32_t>(most(right, 0)), up = static_cast<int32_t>(most(-right, 0));
  const __m256i start = _mm256_set1_epi32(static_cast<int32_t>(((1 << down) >> 1) - total));
  const __m128i down_count = _mm_cvtsi32_si128(down), up_count = _mm_cvtsi32_si128(up);
  const __m256i channels = _mm256_set1_epi32(static_cast<int32_t>(data.channels)), none = _mm256_setzero_si256();
  const __m256i mantissa = _mm256_set1_epi16(static_cast<int16_t>(root.mantissa)), least_word = _mm256_set1_epi16(-32767);
  const auto numerator = [&](__m256i values_and_zeros) {
    const __m256i centred = _mm256_add_epi32(_mm256_madd_epi16(values_and_zeros, channels), start);
    return _mm256_sll_epi32(_mm256_sra_epi32(centred, down_count), up_count);
  };
  for (int64_t channel = 0; channel < data.channels; channel += 16) {
    const Panel& panel = data.panels[channel / panel_columns];
    const int64_t half = channel / 16 % 2;
    const __m256i values = load(row, channel);
    const __m256i numerators = _mm256_packs_epi32(numerator(_mm256_unpacklo_epi16(values, none)),
                                                  numerator(_mm256_unpackhi_epi16(values, none)));
    const __m256i normalised = _mm256_mulhrs_epi16(_mm256_max_epi16(numerators, least_word), mantissa);
    const HalfAccumulators starts = load_half(panel.start, half), shift = load_half(panel.shift, half);
    const __m256i first = _mm256_madd_epi16(_mm256_unpacklo_epi16(normalised, none), load_constants(panel.pair_multiplier, half));
    const __m256i last =
        _mm256_madd_epi16(_mm256_unpackhi_epi16(normalised, none), load_constants(panel.pair_multiplier, 2 + half));
    __m256i words = _mm256_packs_epi32(_mm256_srav_epi32(_mm256_add_epi32(first, starts.first), shift.first),
                                       _mm256_srav_epi32(_mm256_add_epi32(last, starts.second), shift.second));
    words = clip_words(_mm256_adds_epi16(words, _mm256_set1_epi16(static_cast<int16_t>(data.zero_point))), data.low, data.high);
    store_words_16(out + channel * size_of(data.output_type), data.output_type, least(16, data.channels - channel), words);
  }
}

}  // namespace

void layer_norm_avx2(const LayerNormData& data, int64_t rows, const ConstRows& x, const Rows& out) {
  const Loader load{data};
  for (int64_t row = 0; row < rows; ++row)
    normalise_row(load, element(x, data.input_type, row, 0), element(out, data.output_type, row, 0));
}

}  // namespace fullint::detail
