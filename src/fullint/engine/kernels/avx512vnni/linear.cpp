// Linear layers with AVX-512-VNNI: up to 12 rows times 32 columns in registers, one dot product of four a lane.
#include <cstring>

#include "avx512vnni/epilogue.h"
#include "avx512vnni/weights.h"
#include "scratch.h"
#include "unroll.h"

namespace fullint::detail {
namespace {

constexpr int64_t largest_block = 12;

// x (rows, 64 * blocks) bytes times one panel; signed inputs are read offset by 128.
template <int rows, bool is_signed>
void multiply(const uint8_t* x, int64_t row_stride, const int8_t* panel, int64_t blocks, int32_t* out) {
  __m512i first[rows], second[rows];
  FULLINT_UNROLL
  for (int row = 0; row < rows; ++row) first[row] = second[row] = _mm512_setzero_si512();
  const __m512i offset = _mm512_set1_epi8(-128);
  for (int64_t block = 0; block < blocks; ++block, x += block_depth, panel += 2 * tile_bytes) {
    for (int64_t step = 0; step < 16; ++step) {
      const __m512i weights_first = _mm512_load_si512(panel + 64 * step);
      const __m512i weights_second = _mm512_load_si512(panel + tile_bytes + 64 * step);
      FULLINT_UNROLL
      for (int row = 0; row < rows; ++row) {
        int32_t four;
        std::memcpy(&four, x + row * row_stride + 4 * step, 4);
        __m512i inputs = _mm512_set1_epi32(four);
        if constexpr (is_signed) inputs = _mm512_xor_si512(inputs, offset);
        first[row] = _mm512_dpbusd_epi32(first[row], inputs, weights_first);
        second[row] = _mm512_dpbusd_epi32(second[row], inputs, weights_second);
      }
    }
  }
  FULLINT_UNROLL
  for (int row = 0; row < rows; ++row) {
    _mm512_store_si512(out + row * panel_columns, first[row]);
    _mm512_store_si512(out + row * panel_columns + 16, second[row]);
  }
}

using Multiply = void (*)(const uint8_t*, int64_t, const int8_t*, int64_t, int32_t*);

template <bool is_signed>
constexpr Multiply multiply_rows[] = {
    nullptr,                 multiply<1, is_signed>, multiply<2, is_signed>,  multiply<3, is_signed>,  multiply<4, is_signed>,
    multiply<5, is_signed>,  multiply<6, is_signed>, multiply<7, is_signed>,  multiply<8, is_signed>,  multiply<9, is_signed>,
    multiply<10, is_signed>, multiply<11, is_signed>, multiply<12, is_signed>};

}  // namespace

void linear_avx512(const LinearData& data, int64_t rows, const ConstRows& x, const ConstRows& second, const Rows& out) {
  alignas(64) int32_t accumulators[largest_block * panel_columns];
  int8_t* room = data.four_bit ? static_cast<int8_t*>(thread_scratch(Scratch::weights, data.blocks * 2 * tile_bytes)) : nullptr;
  const Multiply* multiply = data.input_type == NumberType::s8 ? multiply_rows<true> : multiply_rows<false>;
  const auto* inputs = static_cast<const uint8_t*>(x.data);
  const int64_t row_blocks = (rows + largest_block - 1) / largest_block;
  for (int64_t panel = 0; panel < data.panels; ++panel) {
    const int8_t* weights = panel_weights(data, panel, room);
    for (int64_t block = 0; block < row_blocks; ++block) {
      // Blocks of nearly equal heights.
      const int64_t row = rows * block / row_blocks, height = rows * (block + 1) / row_blocks - row;
      multiply[height](inputs + row * x.row_stride, x.row_stride, weights, data.blocks, accumulators);
      finish_panel_avx512(data.epilogue, panel, accumulators, row, height, second, out);
    }
  }
}

}  // namespace fullint::detail
