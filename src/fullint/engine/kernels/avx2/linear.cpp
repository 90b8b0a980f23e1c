// Linear layers with AVX2: bytes widened to int16 (inputs once a call, weights once a panel), products of pairs.
#include "avx2/avx2.h"

#include <cstring>

#include "avx2/epilogue.h"
#include "scratch.h"
#include "unroll.h"

namespace fullint::detail {
namespace {

constexpr int64_t rows_at_once = 104;

// `rows` rows times 8 * `parts` columns of a panel of 32, in registers.
template <int rows, int parts>
void multiply(const int16_t* left, int64_t left_stride, const int16_t* right, int64_t pairs, int32_t* out, int64_t out_stride) {
  __m256i sums[rows][parts];
  FULLINT_UNROLL
  for (int row = 0; row < rows; ++row)
    FULLINT_UNROLL
    for (int part = 0; part < parts; ++part) sums[row][part] = _mm256_setzero_si256();
  for (int64_t pair = 0; pair < pairs; ++pair, right += 64) {
    __m256i inputs[rows];
    FULLINT_UNROLL
    for (int row = 0; row < rows; ++row) {
      int32_t two;
      std::memcpy(&two, left + row * left_stride + 2 * pair, 4);
      inputs[row] = _mm256_set1_epi32(two);
    }
    FULLINT_UNROLL
    for (int part = 0; part < parts; ++part) {
      const __m256i weights = load_constants(right, part);
      FULLINT_UNROLL
      for (int row = 0; row < rows; ++row)
        sums[row][part] = _mm256_add_epi32(sums[row][part], _mm256_madd_epi16(inputs[row], weights));
    }
  }
  FULLINT_UNROLL
  for (int row = 0; row < rows; ++row)
    FULLINT_UNROLL
    for (int part = 0; part < parts; ++part)
      _mm256_store_si256(reinterpret_cast<__m256i*>(out + row * out_stride + 8 * part), sums[row][part]);
}

// Rows of bytes to int16.
void widen_rows(const LinearData& data, int64_t rows, const ConstRows& x, int64_t row, int16_t* to) {
  const int64_t depth = data.blocks * block_depth;
  for (int64_t i = 0; i < rows; ++i) {
    const char* from = element(x, data.input_type, row + i, 0);
    for (int64_t input = 0; input < depth; input += 16, to += 16)
      _mm256_store_si256(reinterpret_cast<__m256i*>(to), load_words_16(from + input, data.input_type, 16));
  }
}

// Four inputs of four columns, [column][input], to two pieces of four columns [column][2 inputs].
void widen_weights(__m128i four_by_four, int16_t* even_pair, int16_t* odd_pair) {
  const __m256i words = _mm256_cvtepi8_epi16(four_by_four);
  const __m256i pairs = _mm256_permutevar8x32_epi32(words, _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
  _mm_store_si128(reinterpret_cast<__m128i*>(even_pair), _mm256_castsi256_si128(pairs));
  _mm_store_si128(reinterpret_cast<__m128i*>(odd_pair), _mm256_extracti128_si256(pairs, 1));
}

__m128i load_sixteen(const void* data) { return _mm_load_si128(static_cast<const __m128i*>(data)); }

// Sixteen weights: bytes, or halves of bytes (a 64-byte piece holds a tile's even row in the low ones, the next in the high).
__m128i load_weights(const uint8_t* panel, int64_t index, const int8_t* offsets) {
  if (offsets == nullptr) return load_sixteen(panel + index);
  const __m128i both = load_sixteen(panel + index / 128 * 64 + index % 64);
  const __m128i chosen = index / 64 % 2 == 0 ? both : _mm_srli_epi16(both, 4);
  const __m128i offset = load_sixteen(offsets + index / 1024 % 2 * 64 + index % 64);
  return _mm_add_epi8(_mm_and_si128(chosen, _mm_set1_epi8(15)), offset);
}

// A panel (layout: avx512vnni/weights.h) to (inputs / 2, 32, 2) int16.
void widen_panel(const LinearData& data, int64_t panel, int16_t* to) {
  const int64_t panel_bytes = data.blocks * block_depth * panel_columns / (data.four_bit ? 2 : 1);
  const uint8_t* weights = static_cast<const uint8_t*>(data.weights) + panel * panel_bytes;
  const int8_t* offsets = data.four_bit ? data.weight_offsets + panel * 128 : nullptr;
  for (int64_t block = 0; block < data.blocks; ++block)
    for (int64_t tile = 0; tile < 2; ++tile)
      for (int64_t step = 0; step < 16; ++step)
        for (int64_t column = 0; column < 16; column += 4) {
          const int64_t index = (block * 2 + tile) * 1024 + step * 64 + column * 4;
          int16_t* even_pair = to + (block * 32 + step * 2) * 64 + (tile * 16 + column) * 2;
          widen_weights(load_weights(weights, index, offsets), even_pair, even_pair + 64);
        }
}

}  // namespace

void multiply_words_avx2(int64_t rows, const int16_t* left, int64_t left_stride, const int16_t* right, int64_t pairs,
                         int32_t* out, int64_t out_stride) {
  const auto run = [&](auto product, int64_t row, int64_t column) {
    product(left + row * left_stride, left_stride, right + 2 * column, pairs, out + row * out_stride + column, out_stride);
  };
  int64_t row = 0;
  for (; row + 4 <= rows; row += 4) {
    run(multiply<4, 2>, row, 0);
    run(multiply<4, 2>, row, 16);
  }
  for (; row < rows; ++row) run(multiply<1, 4>, row, 0);
}

void linear_avx2(const LinearData& data, int64_t rows, const ConstRows& x, const ConstRows& second, const Rows& out) {
  const int64_t depth = data.blocks * block_depth;
  auto* inputs = static_cast<int16_t*>(thread_scratch(Scratch::wide_inputs, least(rows, rows_at_once) * depth * 2));
  auto* weights = static_cast<int16_t*>(thread_scratch(Scratch::weights, depth * panel_columns * 2));
  alignas(32) int32_t accumulators[rows_at_once * panel_columns];
  for (int64_t row = 0; row < rows; row += rows_at_once) {
    const int64_t count = least(rows_at_once, rows - row);
    widen_rows(data, count, x, row, inputs);
    for (int64_t panel = 0; panel < data.panels; ++panel) {
      widen_panel(data, panel, weights);
      multiply_words_avx2(count, inputs, depth, weights, depth / 2, accumulators, panel_columns);
      finish_panel_avx2(data.epilogue, panel, accumulators, panel_columns, row, count, second, out);
    }
  }
}

}  // namespace fullint::detail
