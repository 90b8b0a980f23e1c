// Products of bytes with packed panels for attention, by AMX.
#include "amx/attention.h"
#include "amx/tiles.h"
#include "avx512vnni/attention.h"

namespace fullint::detail {
namespace {

// Tile registers here: 0 to 3 sums of 16 rows and 64 columns, 4 the left operand, 6 and 7 the right one's tiles in turn.
constexpr int64_t largest_height = 16;

struct Operands {
  const uint8_t* left;
  int64_t left_stride;
  const int8_t* right;
  int64_t panel_bytes;  // from a panel to the next
  int64_t blocks;
  const int32_t* start;
  int32_t* out;
  int64_t out_bytes;  // from a row to the next
};

inline void start_sums(const int32_t* start, bool two_panels) {
  if (start != nullptr) {
    // A stride of zero repeats the one row.
    _tile_loadd(0, start, 0);
    _tile_loadd(1, start + 16, 0);
    if (!two_panels) return;
    _tile_loadd(2, start + 32, 0);
    _tile_loadd(3, start + 48, 0);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    if (!two_panels) return;
    _tile_zero(2);
    _tile_zero(3);
  }
}

template <bool left_signed, bool right_signed, bool two_panels>
void multiply(const Operands& operands) {
  start_sums(operands.start, two_panels);
  const uint8_t* left = operands.left;
  const int8_t* right = operands.right;
  for (int64_t block = 0; block < operands.blocks; ++block, left += 64, right += 2048) {
    _tile_loadd(4, left, operands.left_stride);
    _tile_loadd(6, right, 64);
    FULLINT_MULTIPLY_ADD(left_signed, right_signed, 0, 4, 6);
    _tile_loadd(7, right + 1024, 64);
    FULLINT_MULTIPLY_ADD(left_signed, right_signed, 1, 4, 7);
    if (two_panels) {
      _tile_loadd(6, right + operands.panel_bytes, 64);
      FULLINT_MULTIPLY_ADD(left_signed, right_signed, 2, 4, 6);
      _tile_loadd(7, right + operands.panel_bytes + 1024, 64);
      FULLINT_MULTIPLY_ADD(left_signed, right_signed, 3, 4, 7);
    }
  }
  _tile_stored(0, operands.out, operands.out_bytes);
  _tile_stored(1, operands.out + 16, operands.out_bytes);
  if (two_panels) {
    _tile_stored(2, operands.out + 32, operands.out_bytes);
    _tile_stored(3, operands.out + 48, operands.out_bytes);
  }
}

template <bool left_signed, bool right_signed>
void multiply_all(Operands operands, int64_t panels) {
  int64_t panel = 0;
  for (; panel + 2 <= panels; panel += 2) {
    multiply<left_signed, right_signed, true>(operands);
    operands.right += 2 * operands.panel_bytes;
    operands.out += 64;
    if (operands.start != nullptr) operands.start += 64;
  }
  if (panel < panels) multiply<left_signed, right_signed, false>(operands);
}

void product(int64_t, const uint8_t* left, int64_t left_stride, bool left_signed, const int8_t* right, bool right_signed,
             int64_t panels, int64_t blocks, const int32_t* start, int32_t* out, int64_t out_stride) {
  const Operands operands{left, left_stride, right, blocks * 2048, blocks, start, out, out_stride * 4};
  if (left_signed)
    (right_signed ? multiply_all<true, true> : multiply_all<true, false>)(operands, panels);
  else
    (right_signed ? multiply_all<false, true> : multiply_all<false, false>)(operands, panels);
}

constexpr MatrixUnit amx_unit{true, largest_height, [](int64_t height) { configure_tiles(height, height); }, [] { _tile_release(); }, product};

size_t packed_bytes(const AttentionData& data) { return attention_packed_bytes_avx512(data); }

void pack(const AttentionData& data, const ConstRows& k, const ConstRows& v, void* packed) {
  const KeyOrder order = suits_attention_amx(data) ? KeyOrder::bytes : KeyOrder::tiles;
  attention_pack_avx512(data, amx_unit, order, k, v, packed);
}

void run(const AttentionData& data, int64_t rows, const ConstRows& q, const void* packed, const ConstRows& addend,
         const Rows& out) {
  if (suits_attention_amx(data)) return attention_run_amx(data, rows, q, packed, addend, out);
  attention_run_avx512(data, amx_unit, rows, q, packed, addend, out);
}

}  // namespace

extern const AttentionFunctions attention_amx;
const AttentionFunctions attention_amx{packed_bytes, pack, run};

}  // namespace fullint::detail
