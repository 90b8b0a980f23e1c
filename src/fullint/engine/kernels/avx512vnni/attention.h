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

size_t attention_packed_bytes_avx512(const AttentionData& data);
void attention_pack_avx512(const AttentionData& data, const MatrixUnit& unit, const ConstRows& k, const ConstRows& v,
                           void* packed);
void attention_run_avx512(const AttentionData& data, const MatrixUnit& unit, int64_t rows, const ConstRows& q,
                          const void* packed, const ConstRows& addend, const Rows& out);

// Scores (padded to panels, each in tile order; padding holds INT32_MIN) of one row to weights for the product with v.
// `weights` has key_blocks * 64 bytes, and for log2 codes as many again: high parts first (256 times), then low parts.
// `distances` is room for as many int16. Returns the sum of the weights.
int64_t softmax_row_avx512(const AttentionData& data, int32_t maximum, const int32_t* scores, uint8_t* weights,
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
