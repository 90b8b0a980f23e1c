// Blocks of scores to attention weights.
#pragma once

#include "amx/exponential_codes.h"

namespace fullint::detail {
namespace {

constexpr int64_t block_rows = 16;
constexpr int64_t tile_numbers = 256;  // of scores

// Up to sixteen query rows, of which those before `first` belong to the block before them.
struct Block {
  int64_t row, first, height;
};

// Scores of a block to weights, 64 keys of all rows at a time. What becomes of weights after the last key does not matter:
// values are zeros there, and so is the factor by which they are added up.
template <bool whole>
class Weighing {
 public:
  // scores (tiles, 16, 16), weights (16, weight_stride); maxima of the rows.
  Weighing(const AttentionData& data, __m512i maxima, const Block& block, const int32_t* scores, uint8_t* weights,
           int64_t weight_stride)
      : codes_(data), scores_(scores), weights_(weights), stride_(weight_stride), block_(block) {
    const __m512i rounding = _mm512_set1_epi32(static_cast<int32_t>((uint32_t{1} << data.pre_shift) >> 1));
    _mm512_store_si512(maxima_, _mm512_add_epi32(maxima, rounding));
  }

  // Calls `between` now and then.
  template <typename Between>
  void run(int64_t group, int64_t keys, const Between& between) {
    const int64_t left = keys - 64 * group;
    if (left <= 16) return weigh_pairs(group, left);
    const __m512i ones = _mm512_maskz_set1_epi8(mask_of(left), 1);
    for (int64_t row = block_.first; row < block_.height; ++row) {
      const __m512i odd = left > 32 ? words(group, 2, row) : _mm512_setzero_si512();
      store(group, row, high_bytes(words(group, 0, row), odd), ones);
      if (row % 4 == 3) between();
    }
  }

  __m512i sums() const {
    return reduce_rows(sums_, [](__m512i a, __m512i b) { return _mm512_add_epi32(a, b); });
  }

 private:
  // The bytes of 64 keys that stand for the first `count`.
  static __mmask64 mask_of(int64_t count) {
    if (count >= 64) return ~__mmask64{0};
    uint64_t mask = 0;
    for (int64_t byte = 0; byte < 64; ++byte) {
      const int64_t word = byte / 2, key = byte % 2 * 32 + word % 8 / 4 * 16 + word / 8 * 4 + word % 4;
      mask |= static_cast<uint64_t>(key < count ? 1 : 0) << byte;
    }
    return mask;
  }

  __m512i load(int64_t group, int64_t tile, int64_t row) const {
    return _mm512_load_si512(scores_ + (4 * group + tile) * tile_numbers + 16 * row);
  }
  __m512i words(int64_t group, int64_t tile, int64_t row) const {
    const __m512i maximum = _mm512_set1_epi32(maxima_[row]);
    return codes_(maximum, maximum, load(group, tile, row), load(group, tile + 1, row));
  }
  void store(int64_t group, int64_t row, __m512i bytes, __m512i ones) {
    _mm512_store_si512(weights_ + row * stride_ + 64 * group, bytes);
    sums_[row] = _mm512_dpbusd_epi32(sums_[row], bytes, ones);
  }

  // At most one tile: two rows at once.
  void weigh_pairs(int64_t group, int64_t left) {
    const __m512i ones = _mm512_maskz_set1_epi8(mask_of(left), 1);
    for (int64_t row = block_.first / 2 * 2; row < block_.height; row += 2) {
      const __m512i both = codes_(_mm512_set1_epi32(maxima_[row]), _mm512_set1_epi32(maxima_[row + 1]), load(group, 0, row),
                                  load(group, 0, row + 1));
      const __m512i bytes = _mm512_srli_epi16(both, 8);
      store(group, row, bytes, ones);
      store(group, row + 1, _mm512_bsrli_epi128(bytes, 8), ones);
    }
  }

  const ExponentialCodes<whole> codes_;
  const int32_t* scores_;
  uint8_t* weights_;
  int64_t stride_;
  Block block_;
  alignas(64) int32_t maxima_[block_rows];
  __m512i sums_[block_rows] = {};
};

}  // namespace
}  // namespace fullint::detail
