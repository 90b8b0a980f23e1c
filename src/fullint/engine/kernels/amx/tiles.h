// Tile registers. 0 to 3: sums of up to 32 rows and 32 columns (upper left, upper right, lower left, lower right);
// 4, 5: upper and lower rows of the left operand; 6, 7: left and right columns of the right operand.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace fullint::detail {
namespace {

struct alignas(64) TileConfiguration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

inline void load_configuration(const TileConfiguration& configuration) {
  // GCC believes that the instruction reads the first bytes only, and would drop the other stores.
  __asm__ volatile("" : : "r"(&configuration) : "memory");
  _tile_loadconfig(&configuration);
}

// Rows of tiles 0, 1 and 4, and rows of tiles 2, 3 and 5; 1 to 16 each.
inline void configure_tiles(int64_t upper_rows, int64_t lower_rows) {
  TileConfiguration configuration;
  const auto upper = static_cast<uint8_t>(upper_rows), lower = static_cast<uint8_t>(lower_rows);
  for (int tile = 0; tile < 8; ++tile) {
    configuration.row_bytes[tile] = 64;
    configuration.rows[tile] = tile >= 6 ? 16 : tile == 2 || tile == 3 || tile == 5 ? lower : upper;
  }
  load_configuration(configuration);
}

}  // namespace
}  // namespace fullint::detail

// sum += left * right, whose signedness is known when compiling. A macro: compilers want the numbers themselves.
#define FULLINT_MULTIPLY_ADD(left_signed, right_signed, sum, left, right) \
  do {                                                                    \
    if constexpr ((left_signed) && (right_signed))                        \
      _tile_dpbssd(sum, left, right);                                     \
    else if constexpr (left_signed)                                       \
      _tile_dpbsud(sum, left, right);                                     \
    else if constexpr (right_signed)                                      \
      _tile_dpbusd(sum, left, right);                                     \
    else                                                                  \
      _tile_dpbuud(sum, left, right);                                     \
  } while (false)
