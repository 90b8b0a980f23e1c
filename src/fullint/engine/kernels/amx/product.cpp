// Products of bytes with packed panels for attention, by AMX.
#include "amx/tiles.h"
#include "avx512vnni/attention.h"

namespace fullint::detail {
namespace {

template <bool left_signed, bool right_signed, bool two_tiles>
void multiply(const uint8_t* left, int64_t left_stride, const int8_t* panel, int64_t blocks, const int32_t* start,
              int32_t* out, int64_t out_bytes) {
  if (start != nullptr) {
    // A stride of zero repeats the one row.
    _tile_loadd(0, start, 0);
    _tile_loadd(1, start + 16, 0);
    if (two_tiles) {
      _tile_loadd(2, start, 0);
      _tile_loadd(3, start + 16, 0);
    }
  } else {
    _tile_zero(0);
    _tile_zero(1);
    if (two_tiles) {
      _tile_zero(2);
      _tile_zero(3);
    }
  }
  for (int64_t block = 0; block < blocks; ++block, left += 64, panel += 2048) {
    _tile_loadd(4, left, left_stride);
    if (two_tiles) _tile_loadd(5, left + 16 * left_stride, left_stride);
    _tile_loadd(6, panel, 64);
    _tile_loadd(7, panel + 1024, 64);
    FULLINT_MULTIPLY_ADD(left_signed, right_signed, 0, 4, 6);
    FULLINT_MULTIPLY_ADD(left_signed, right_signed, 1, 4, 7);
    if (two_tiles) {
      FULLINT_MULTIPLY_ADD(left_signed, right_signed, 2, 5, 6);
      FULLINT_MULTIPLY_ADD(left_signed, right_signed, 3, 5, 7);
    }
  }
  _tile_stored(0, out, out_bytes);
  _tile_stored(1, out + 16, out_bytes);
  if (two_tiles) {
    int32_t* lower = out + 4 * out_bytes;
    _tile_stored(2, lower, out_bytes);
    _tile_stored(3, lower + 16, out_bytes);
  }
}

using Multiply = void (*)(const uint8_t*, int64_t, const int8_t*, int64_t, const int32_t*, int32_t*, int64_t);
constexpr Multiply variants[] = {multiply<false, false, false>, multiply<false, false, true>, multiply<false, true, false>,
                                 multiply<false, true, true>,   multiply<true, false, false>, multiply<true, false, true>,
                                 multiply<true, true, false>,   multiply<true, true, true>};

void product(int64_t height, const uint8_t* left, int64_t left_stride, bool left_signed, const int8_t* right,
             bool right_signed, int64_t panels, int64_t blocks, const int32_t* start, int32_t* out, int64_t out_stride) {
  const Multiply multiply_panel = variants[(left_signed ? 4 : 0) + (right_signed ? 2 : 0) + (height > 16 ? 1 : 0)];
  for (int64_t panel = 0; panel < panels; ++panel)
    multiply_panel(left, left_stride, right + panel * blocks * 2048, blocks, start == nullptr ? nullptr : start + 32 * panel,
                   out + 32 * panel, out_stride * 4);
}

constexpr MatrixUnit amx_unit{true, [](int64_t height) { configure_tiles(height); }, [] { _tile_release(); }, product};

size_t packed_bytes(const AttentionData& data) { return attention_packed_bytes_avx512(data); }

void pack(const AttentionData& data, const ConstRows& k, const ConstRows& v, void* packed) {
  attention_pack_avx512(data, amx_unit, k, v, packed);
}

void run(const AttentionData& data, int64_t rows, const ConstRows& q, const void* packed, const ConstRows& addend,
         const Rows& out) {
  attention_run_avx512(data, amx_unit, rows, q, packed, addend, out);
}

}  // namespace

extern const AttentionFunctions attention_amx;
const AttentionFunctions attention_amx{packed_bytes, pack, run};

}  // namespace fullint::detail
