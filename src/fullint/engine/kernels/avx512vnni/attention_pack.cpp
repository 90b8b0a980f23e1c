// Keys and values of one head, once an image, into the layout of packed weights.
#include "avx512vnni/attention.h"
#include "avx512vnni/epilogue.h"

namespace fullint::detail {
namespace {

// Transposes 16 rows of 16 int32: rows[i] lane j to rows[j] lane i.
void transpose(__m512i rows[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    const __m512i even_low = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0x88);
    const __m512i odd_low = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0xdd);
    const __m512i even_high = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0x88);
    const __m512i odd_high = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0xdd);
    t[i] = _mm512_shuffle_i32x4(even_low, even_high, 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
    t[i + 8] = _mm512_shuffle_i32x4(even_low, even_high, 0xdd);
    t[i + 12] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd);
  }
  for (int i = 0; i < 16; ++i) rows[i] = t[i];
}

__mmask64 bytes_mask(int64_t bytes) {
  return bytes >= 64 ? ~__mmask64{0} : bytes <= 0 ? 0 : (__mmask64{1} << bytes) - 1;
}

// One of the two tiles of a panel of keys.
struct KeyTile {
  KeyOrder order;
  int64_t panel, tile;

  int64_t key(int64_t column) const {
    const int64_t position = 16 * tile + column;
    return 32 * panel + (order == KeyOrder::tiles ? tile_order(position) : position);
  }
};

// The first, second, third and fourth of the four keys that make a row of a tile of values, the row's 64 keys counted from 0.
struct FourKeys {
  int64_t keys[4];

  FourKeys(KeyOrder order, int64_t row) {
    if (order == KeyOrder::tiles) {
      for (int64_t i = 0; i < 4; ++i) keys[i] = 4 * row + i;
    } else {
      const int64_t first = row % 4 / 2 * 16 + row / 4 * 4 + row % 2 * 2;
      keys[0] = first;
      keys[1] = first + 32;
      keys[2] = first + 1;
      keys[3] = first + 33;
    }
  }
};

// One tile: 16 keys times 64 columns. Returns each key's sum of bytes (signed or unsigned, as the tile holds them).
__m512i pack_key_tile(const char* k, int64_t row_stride, const KeyTile& which, int64_t keys, __mmask64 columns, __m512i flip,
                      bool is_signed, char* tile) {
  __m512i rows[16];
  for (int64_t i = 0; i < 16; ++i) {
    const int64_t key = which.key(i);
    rows[i] = key < keys ? _mm512_maskz_loadu_epi8(columns, k + key * row_stride) : _mm512_setzero_si512();
    rows[i] = _mm512_maskz_mov_epi8(columns, _mm512_xor_si512(rows[i], flip));
  }
  transpose(rows);
  const __m512i ones = _mm512_set1_epi8(1);
  __m512i sums = _mm512_setzero_si512();
  for (int64_t i = 0; i < 16; ++i) {
    _mm512_store_si512(tile + 64 * i, rows[i]);
    sums = is_signed ? _mm512_dpbusd_epi32(sums, ones, rows[i]) : _mm512_dpbusd_epi32(sums, rows[i], ones);
  }
  return sums;
}

void pack_keys(const AttentionData& data, const MatrixUnit& unit, KeyOrder order, const ConstRows& k, char* packed,
               int32_t* terms) {
  const AttentionSizes sizes(data);
  const int32_t offset = right_offset(unit, data.key_type);
  const bool is_signed = data.key_type == NumberType::s8 || offset != 0;
  const int32_t zero_query = data.zero_query + left_offset(unit, data.query_type), zero_key = data.zero_key - offset;
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(offset));
  const __m512i constant = _mm512_set1_epi32(static_cast<int32_t>(data.depth * zero_query * zero_key));
  for (int64_t panel = 0; panel < sizes.key_panels; ++panel)
    for (int64_t tile = 0; tile < 2; ++tile) {
      __m512i sums = _mm512_setzero_si512();
      for (int64_t block = 0; block < sizes.depth_blocks; ++block)
        sums = _mm512_add_epi32(
            sums, pack_key_tile(static_cast<const char*>(k.data) + 64 * block, k.row_stride, {order, panel, tile}, data.keys,
                                bytes_mask(data.depth - 64 * block), flip, is_signed,
                                packed + ((panel * sizes.depth_blocks + block) * 2 + tile) * 1024));
      const __m512i term = _mm512_sub_epi32(constant, _mm512_mullo_epi32(sums, _mm512_set1_epi32(zero_query)));
      _mm512_store_si512(terms + 32 * panel + 16 * tile, term);
    }
}

// Four rows of 64 columns interleaved into four pieces of two panels' tiles.
void interleave(const __m512i rows[4], char* first_panel, char* second_panel) {
  const __m512i low_01 = _mm512_unpacklo_epi8(rows[0], rows[1]), high_01 = _mm512_unpackhi_epi8(rows[0], rows[1]);
  const __m512i low_23 = _mm512_unpacklo_epi8(rows[2], rows[3]), high_23 = _mm512_unpackhi_epi8(rows[2], rows[3]);
  const __m512i quarter_0 = _mm512_unpacklo_epi16(low_01, low_23), quarter_1 = _mm512_unpackhi_epi16(low_01, low_23);
  const __m512i quarter_2 = _mm512_unpacklo_epi16(high_01, high_23), quarter_3 = _mm512_unpackhi_epi16(high_01, high_23);
  const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
  const __m512i second = _mm512_add_epi64(first, _mm512_set1_epi64(4));
  _mm512_store_si512(first_panel, _mm512_permutex2var_epi64(quarter_0, first, quarter_2));
  _mm512_store_si512(first_panel + 1024, _mm512_permutex2var_epi64(quarter_1, first, quarter_3));
  if (second_panel == nullptr) return;
  _mm512_store_si512(second_panel, _mm512_permutex2var_epi64(quarter_0, second, quarter_2));
  _mm512_store_si512(second_panel + 1024, _mm512_permutex2var_epi64(quarter_1, second, quarter_3));
}

void pack_values(const AttentionData& data, const MatrixUnit& unit, KeyOrder order, const ConstRows& v, char* packed) {
  const AttentionSizes sizes(data);
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(right_offset(unit, data.value_type)));
  const int64_t panel_bytes = sizes.key_blocks * 2048;
  for (int64_t panel = 0; panel < sizes.value_panels; panel += 2) {
    const __mmask64 columns = bytes_mask(data.value_depth - 32 * panel);
    for (int64_t four = 0; four < sizes.key_blocks * 16; ++four) {
      const FourKeys of_block(order, four % 16);
      __m512i rows[4];
      for (int64_t i = 0; i < 4; ++i) {
        const int64_t key = four / 16 * 64 + of_block.keys[i];
        const char* row = static_cast<const char*>(v.data) + key * v.row_stride + 32 * panel;
        rows[i] = key < data.keys ? _mm512_maskz_loadu_epi8(columns, row) : flip;
        rows[i] = _mm512_xor_si512(rows[i], flip);
      }
      char* piece = packed + panel * panel_bytes + four / 16 * 2048 + four % 16 * 64;
      interleave(rows, piece, panel + 1 < sizes.value_panels ? piece + panel_bytes : nullptr);
    }
  }
}

}  // namespace

size_t attention_packed_bytes_avx512(const AttentionData& data) {
  const AttentionSizes sizes(data);
  return static_cast<size_t>(sizes.keys_bytes + sizes.terms_bytes + sizes.values_bytes);
}

void attention_pack_avx512(const AttentionData& data, const MatrixUnit& unit, KeyOrder order, const ConstRows& k,
                           const ConstRows& v, void* packed) {
  const AttentionSizes sizes(data);
  auto* keys = static_cast<char*>(packed);
  pack_keys(data, unit, order, k, keys, reinterpret_cast<int32_t*>(keys + sizes.keys_bytes));
  pack_values(data, unit, order, v, keys + sizes.keys_bytes + sizes.terms_bytes);
}

}  // namespace fullint::detail
