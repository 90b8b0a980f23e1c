// Attention with AVX-512 around any unit that multiplies matrices of bytes.
#pragma once

#include "data.h"

namespace fullint::detail {

// Multiplies a few rows of bytes with packed panels (layout: avx512vnni/weights.h).
struct MatrixUnit {
  // Whether it takes all combinations of signs; otherwise the right operand is signed, and a signed left one counts as
  // offset by 128.
  bool takes_any_signs;
  int64_t largest_height;
  void (*begin)(int64_t height);  // before products of `height` rows each
  void (*end)();
  // out (height, panels * 32), rows `out_stride` int32 apart, every panel in tile order = start (panels * 32, or nullptr for
  // zeros) + left (height, blocks * 64) times the panels.
  void (*product)(int64_t height, const uint8_t* left, int64_t left_stride, bool left_signed, const int8_t* right,
                  bool right_signed, int64_t panels, int64_t blocks, const int32_t* start, int32_t* out,
                  int64_t out_stride);
};

// The factor of the distances, multiplier / 2^shift, is applied as whole + fraction / 2^15, with whole 0 or 1: one rounding
// multiplication, and one addition if it is 1.
struct DistanceFactor {
  int64_t whole, fraction;

  explicit DistanceFactor(const AttentionData& data) {
    const int64_t factor = data.shift > 15 ? int64_t{2} << 15 : int64_t{data.multiplier} << (15 - data.shift);
    whole = factor >> 15;
    fraction = factor & 32767;
  }
  bool is_supported() const { return whole <= 1; }
};

struct AttentionSizes {
  int64_t key_panels, depth_blocks, value_panels, key_blocks;
  int64_t keys_bytes, terms_bytes, values_bytes;

  explicit AttentionSizes(const AttentionData& data)
      : key_panels((data.keys + 31) / 32),
        depth_blocks((data.depth + 63) / 64),
        value_panels((data.value_depth + 31) / 32),
        key_blocks((data.keys + 63) / 64),
        keys_bytes(key_panels * depth_blocks * 2048),
        terms_bytes(key_panels * 32 * 4),
        values_bytes(value_panels * key_blocks * 2048) {}
};

// Order of the keys. `tiles`: panels of 32 scores in tile order, weights in natural order. `bytes`: scores in natural order,
// weights as high_bytes (amx/exponential_codes.h) leaves them, so that nothing has to be reordered in between.
enum class KeyOrder { tiles, bytes };

size_t attention_packed_bytes_avx512(const AttentionData& data);
void attention_pack_avx512(const AttentionData& data, const MatrixUnit& unit, KeyOrder order, const ConstRows& k,
                           const ConstRows& v, void* packed);
void attention_run_avx512(const AttentionData& data, const MatrixUnit& unit, int64_t rows, const ConstRows& q,
                          const void* packed, const ConstRows& addend, const Rows& out);

// Scores (padded to panels, each in tile order; padding holds INT32_MIN) of one row to weights for the product with v.
// `weights` has key_blocks * 64 bytes, and for weights of two bytes as many again: high ones first, then low ones.
// `distances` is room for as many int16. The scores may be changed. Returns the sum of the weights.
int64_t softmax_row_avx512(const AttentionData& data, int32_t maximum, int32_t* scores, uint8_t* weights,
                           uint16_t* distances);
int32_t row_maximum_avx512(const AttentionData& data, const int32_t* scores);

// Offsets that make operands fit a unit: what is added to left, and taken from right, bytes.
static inline int32_t left_offset(const MatrixUnit& unit, NumberType type) {
  return !unit.takes_any_signs && type == NumberType::s8 ? 128 : 0;
}
static inline int32_t right_offset(const MatrixUnit& unit, NumberType type) {
  return !unit.takes_any_signs && type == NumberType::u8 ? 128 : 0;
}

}  // namespace fullint::detail
