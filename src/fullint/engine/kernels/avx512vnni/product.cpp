// Products of bytes with packed panels for attention, by AVX-512-VNNI.
#include <cstring>

#include "avx512vnni/attention.h"
#include "avx512vnni/avx512.h"
#include "avx512vnni/weights.h"
#include "unroll.h"

namespace fullint::detail {
namespace {

template <int rows>
void multiply(const uint8_t* left, int64_t left_stride, __m512i offset, const int8_t* panel, int64_t blocks,
              const int32_t* start, int32_t* out, int64_t out_stride) {
  __m512i first[rows], second[rows];
  FULLINT_UNROLL
  for (int row = 0; row < rows; ++row) {
    first[row] = start != nullptr ? _mm512_load_si512(start) : _mm512_setzero_si512();
    second[row] = start != nullptr ? _mm512_load_si512(start + 16) : _mm512_setzero_si512();
  }
  for (int64_t block = 0; block < blocks; ++block, left += block_depth, panel += 2 * tile_bytes) {
    for (int64_t step = 0; step < 16; ++step) {
      const __m512i right_first = _mm512_load_si512(panel + 64 * step);
      const __m512i right_second = _mm512_load_si512(panel + tile_bytes + 64 * step);
      FULLINT_UNROLL
      for (int row = 0; row < rows; ++row) {
        int32_t four;
        std::memcpy(&four, left + row * left_stride + 4 * step, 4);
        const __m512i inputs = _mm512_xor_si512(_mm512_set1_epi32(four), offset);
        first[row] = _mm512_dpbusd_epi32(first[row], inputs, right_first);
        second[row] = _mm512_dpbusd_epi32(second[row], inputs, right_second);
      }
    }
  }
  FULLINT_UNROLL
  for (int row = 0; row < rows; ++row) {
    _mm512_store_si512(out + row * out_stride, first[row]);
    _mm512_store_si512(out + row * out_stride + 16, second[row]);
  }
}

using Multiply = void (*)(const uint8_t*, int64_t, __m512i, const int8_t*, int64_t, const int32_t*, int32_t*, int64_t);
constexpr Multiply multiply_rows[] = {nullptr,     multiply<1>, multiply<2>, multiply<3>,  multiply<4>,  multiply<5>, multiply<6>,
                                      multiply<7>, multiply<8>, multiply<9>, multiply<10>, multiply<11>, multiply<12>};
constexpr int64_t largest_block = 12;

void product(int64_t height, const uint8_t* left, int64_t left_stride, bool left_signed, const int8_t* right, bool,
             int64_t panels, int64_t blocks, const int32_t* start, int32_t* out, int64_t out_stride) {
  const __m512i offset = left_signed ? _mm512_set1_epi8(-128) : _mm512_setzero_si512();
  const int64_t parts = (height + largest_block - 1) / largest_block;
  for (int64_t panel = 0; panel < panels; ++panel)
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t row = height * part / parts, count = height * (part + 1) / parts - row;
      multiply_rows[count](left + row * left_stride, left_stride, offset, right + panel * blocks * 2 * tile_bytes, blocks,
                           start == nullptr ? nullptr : start + 32 * panel, out + row * out_stride + 32 * panel, out_stride);
    }
}

constexpr MatrixUnit vnni_unit{false, 2 * largest_block, [](int64_t) {}, [] {}, product};

size_t packed_bytes(const AttentionData& data) { return attention_packed_bytes_avx512(data); }

void pack(const AttentionData& data, const ConstRows& k, const ConstRows& v, void* packed) {
  attention_pack_avx512(data, vnni_unit, KeyOrder::tiles, k, v, packed);
}

void run(const AttentionData& data, int64_t rows, const ConstRows& q, const void* packed, const ConstRows& addend,
         const Rows& out) {
  attention_run_avx512(data, vnni_unit, rows, q, packed, addend, out);
}

}  // namespace

const AttentionFunctions attention_avx512{packed_bytes, pack, run};

}  // namespace fullint::detail
