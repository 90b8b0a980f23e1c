// Access to packed weights: panels of 32 columns in tile order, each a sequence of pairs of tiles (first, second 16 columns)
// for 64 inputs; a tile has 16 rows of four inputs times 16 columns, [input / 4][column][input % 4].
#pragma once

#include <immintrin.h>

#include "data.h"

namespace fullint::detail {
namespace {

constexpr int64_t tile_bytes = 1024;

// Unpacks 4-bit weights of one panel: a 64-byte piece holds one row of a tile in its low halves and the next in its high
// ones; `offsets` has a row for each of the two tiles, to be added.
inline void expand_four_bit(const uint8_t* packed, int64_t blocks, const int8_t* offsets, int8_t* weights) {
  const __m512i low_half = _mm512_set1_epi8(15);
  const __m512i tile_offsets[] = {_mm512_load_si512(offsets), _mm512_load_si512(offsets + 64)};
  for (int64_t tile = 0; tile < 2 * blocks; ++tile)
    for (int64_t pair = 0; pair < 8; ++pair, packed += 64, weights += 128) {
      const __m512i both = _mm512_load_si512(packed);
      const __m512i even = _mm512_and_si512(both, low_half);
      const __m512i odd = _mm512_and_si512(_mm512_srli_epi16(both, 4), low_half);
      _mm512_store_si512(weights, _mm512_add_epi8(even, tile_offsets[tile % 2]));
      _mm512_store_si512(weights + 64, _mm512_add_epi8(odd, tile_offsets[tile % 2]));
    }
}

// One panel's weights, 64-byte aligned; `room` holds them if they have to be unpacked.
inline const int8_t* panel_weights(const LinearData& data, int64_t panel, int8_t* room) {
  const int64_t panel_bytes = data.blocks * 2 * tile_bytes;
  const auto* all = static_cast<const uint8_t*>(data.weights);
  if (!data.four_bit) return reinterpret_cast<const int8_t*>(all + panel * panel_bytes);
  expand_four_bit(all + panel * panel_bytes / 2, data.blocks, data.weight_offsets + panel * 128, room);
  return room;
}

}  // namespace
}  // namespace fullint::detail
