// One head: blocks of 16 query rows through scores, exponentials, product with the values, division and requantization. The
// tile unit and the vector units work at the same time: a block's scores are multiplied while the one before is weighed.
#include "amx/attention.h"

#include "amx/averages.h"
#include "amx/tiles.h"
#include "amx/weighing.h"
#include "avx512vnni/attention.h"
#include "scratch.h"

namespace fullint::detail {
namespace {

constexpr int64_t tile_bytes = 1024;
constexpr int64_t page_bytes = 4096;
constexpr int64_t sum_stride = 64;

// What a block needs, in this thread's scratch. With the packed keys and values of 197 tokens it just fits the first-level
// cache, so weights and sums share their place: a block's weights are used up when its sums are stored.
struct Room {
  int32_t* scores;   // (key tiles rounded up to 4, 16, 16), keys in natural order
  uint8_t* weights;  // (16, weight_stride)
  int32_t* sums;     // (16, 64)
  int64_t weight_stride;

  Room(const AttentionSizes& sizes, const void* packed) : weight_stride(sizes.key_blocks * 64) {
    const int64_t score_bytes = sizes.key_blocks * 4 * tile_bytes;
    const int64_t weight_bytes = most(block_rows * weight_stride, block_rows * sum_stride * int64_t{4});
    auto* memory = static_cast<char*>(thread_scratch(Scratch::attention, score_bytes + weight_bytes + page_bytes));
    // Tiles of scores start where tiles of keys do, in their pages: then no tile of keys is loaded while one of scores that
    // looks alike in its last 12 bits, all that the processor first compares, is still to be stored.
    memory += (reinterpret_cast<uintptr_t>(packed) - reinterpret_cast<uintptr_t>(memory)) % page_bytes;
    scores = reinterpret_cast<int32_t*>(memory);
    weights = reinterpret_cast<uint8_t*>(memory + score_bytes);
    sums = reinterpret_cast<int32_t*>(memory + score_bytes);
  }
};

struct Head {
  const AttentionData& data;
  const AttentionSizes sizes;
  const int8_t* packed;
  const Room room;

  const int8_t* key_tile(int64_t tile) const { return packed + tile * tile_bytes; }
  const int32_t* terms() const { return reinterpret_cast<const int32_t*>(packed + sizes.keys_bytes); }
  const int8_t* values() const { return packed + sizes.keys_bytes + sizes.terms_bytes; }
  int64_t key_tiles() const { return (data.keys + 15) / 16; }
  bool is_wide() const { return data.value_depth > 32; }
};

// Tiles 0, 1: scores by turns; 0 to 3: sums; 4: queries; 5: weights; 6: keys. Values are in tile 2, or, where that is needed
// for sums, in tile 6, whose shape is then the same.
void configure(const Head& head, int64_t height) {
  TileConfiguration configuration;
  for (int tile = 0; tile < 8; ++tile) {
    configuration.row_bytes[tile] = 64;
    configuration.rows[tile] = static_cast<uint8_t>(height);
  }
  configuration.row_bytes[4] = static_cast<uint16_t>(head.data.depth);
  configuration.rows[6] = static_cast<uint8_t>(head.data.depth / 4);
  if (!head.is_wide()) configuration.rows[2] = 16;
  load_configuration(configuration);
}

// Multiplies one tile of scores by the queries in tile 4, and stores the one before it: its own product is complete only later,
// and loads would have to wait for a store that waits. After the last tile there is one only to be stored.
template <bool q_signed, bool k_signed>
void multiply_keys(const Head& head, int64_t tile) {
#define FULLINT_NEXT_SCORES(sum, before)                                                           \
  if (tile > 0) _tile_stored(before, head.room.scores + tile_numbers * (tile - 1), 64);            \
  if (tile == head.key_tiles()) return;                                                            \
  if (head.data.zero_query != 0)                                                                   \
    _tile_loadd(sum, head.terms() + 16 * tile, 0); /* a stride of zero repeats the one row */      \
  else                                                                                             \
    _tile_zero(sum);                                                                               \
  _tile_loadd(6, head.key_tile(tile), 64);                                                         \
  FULLINT_MULTIPLY_ADD(q_signed, k_signed, sum, 4, 6)

  if (tile % 2 == 0) {
    FULLINT_NEXT_SCORES(0, 1);
  } else {
    FULLINT_NEXT_SCORES(1, 0);
  }
#undef FULLINT_NEXT_SCORES
}

template <bool v_signed, bool is_wide>
void multiply_values(const Head& head) {
  const int64_t blocks = head.sizes.key_blocks, panel_bytes = blocks * 2 * tile_bytes;
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (is_wide) {
    _tile_zero(2);
    _tile_zero(3);
  }
  const int8_t* values = head.values();
  for (int64_t block = 0; block < blocks; ++block, values += 2 * tile_bytes) {
    _tile_loadd(5, head.room.weights + 64 * block, head.room.weight_stride);
    if constexpr (is_wide) {
      _tile_loadd(6, values, 64);
      FULLINT_MULTIPLY_ADD(false, v_signed, 0, 5, 6);
      _tile_loadd(6, values + tile_bytes, 64);
      FULLINT_MULTIPLY_ADD(false, v_signed, 1, 5, 6);
      _tile_loadd(6, values + panel_bytes, 64);
      FULLINT_MULTIPLY_ADD(false, v_signed, 2, 5, 6);
      _tile_loadd(6, values + panel_bytes + tile_bytes, 64);
      FULLINT_MULTIPLY_ADD(false, v_signed, 3, 5, 6);
    } else {
      _tile_loadd(2, values, 64);
      FULLINT_MULTIPLY_ADD(false, v_signed, 0, 5, 2);
      _tile_loadd(2, values + tile_bytes, 64);
      FULLINT_MULTIPLY_ADD(false, v_signed, 1, 5, 2);
    }
  }
  constexpr int64_t stride = sum_stride * sizeof(int32_t);
  _tile_stored(0, head.room.sums, stride);
  _tile_stored(1, head.room.sums + 16, stride);
  if constexpr (is_wide) {
    _tile_stored(2, head.room.sums + 32, stride);
    _tile_stored(3, head.room.sums + 48, stride);
  }
}

// Adds the addend in place, where there is one; returns the rows' maxima.
__m512i find_maxima(const Head& head, const Block& block, const ConstRows& addend) {
  const __m512i least_score = _mm512_set1_epi32(INT32_MIN);
  const int64_t tiles = head.key_tiles();
  const auto last = static_cast<__mmask16>((2 << (head.data.keys - 1) % 16) - 1);
  __m512i rows[block_rows] = {};
  for (int64_t row = block.first; row < block.height; ++row) {
    int32_t* scores = head.room.scores + 16 * row;
    if (head.data.has_addend) {
      const auto* addends = static_cast<const int32_t*>(row_of(addend, NumberType::s32, block.row + row));
      for (int64_t tile = 0; tile < tiles; ++tile) {
        const __mmask16 mask = tile == tiles - 1 ? last : 0xffff;
        int32_t* values = scores + tile_numbers * tile;
        const __m512i addend_values = _mm512_maskz_loadu_epi32(mask, addends + 16 * tile);
        _mm512_store_si512(values, _mm512_add_epi32(_mm512_load_si512(values), addend_values));
      }
    }
    __m512i first = _mm512_mask_loadu_epi32(least_score, last, scores + tile_numbers * (tiles - 1)), second = first;
    int64_t tile = 0;
    for (; tile + 2 < tiles; tile += 2) {
      first = _mm512_max_epi32(first, _mm512_load_si512(scores + tile_numbers * tile));
      second = _mm512_max_epi32(second, _mm512_load_si512(scores + tile_numbers * (tile + 1)));
    }
    if (tile + 1 < tiles) first = _mm512_max_epi32(first, _mm512_load_si512(scores + tile_numbers * tile));
    rows[row] = _mm512_max_epi32(first, second);
  }
  return reduce_rows(rows, [](__m512i a, __m512i b) { return _mm512_max_epi32(a, b); });
}

using MultiplyKeys = void (*)(const Head&, int64_t tile);

// One block's weights, and between them the next block's scores, each tile where one of this block's is used up: the tile unit
// and the vector units then work at the same time. Returns the sums of the rows' weights.
template <bool whole>
__m512i weigh(const Head& head, __m512i maxima, const Block& block, MultiplyKeys multiply_next) {
  const int64_t keys = head.data.keys, last = multiply_next == nullptr ? -1 : head.key_tiles();
  Weighing<whole> weighing(head.data, maxima, block, head.room.scores, head.room.weights, head.room.weight_stride);
  int64_t next = 0;
  for (int64_t group = 0; group < head.sizes.key_blocks; ++group)
    weighing.run(group, keys, [&] {
      if (next <= 4 * group && next <= last) multiply_next(head, next++);
    });
  while (next <= last) multiply_next(head, next++);
  return weighing.sums();
}

struct Functions {
  MultiplyKeys multiply_keys;
  decltype(&weigh<true>) weigh;
  decltype(&multiply_values<true, true>) multiply_values;

  explicit Functions(const Head& head) {
    const AttentionData& data = head.data;
    const bool q = data.query_type == NumberType::s8, k = data.key_type == NumberType::s8;
    const bool v = data.value_type == NumberType::s8;
    multiply_keys = q ? (k ? detail::multiply_keys<true, true> : detail::multiply_keys<true, false>)
                      : (k ? detail::multiply_keys<false, true> : detail::multiply_keys<false, false>);
    weigh = DistanceFactor(data).whole == 1 ? detail::weigh<true> : detail::weigh<false>;
    multiply_values = head.is_wide() ? (v ? detail::multiply_values<true, true> : detail::multiply_values<false, true>)
                                     : (v ? detail::multiply_values<true, false> : detail::multiply_values<false, false>);
  }
};

}  // namespace

bool suits_attention_amx(const AttentionData& data) {
  // Scores lack a term that is the same for a whole row; without it they must still fit.
  const int64_t query = 255 + (data.zero_query < 0 ? -int64_t{data.zero_query} : data.zero_query);
  const int64_t key = 255 + (data.zero_key < 0 ? -int64_t{data.zero_key} : data.zero_key);
  const bool fits = data.zero_key == 0 || (!data.has_addend && data.depth * query * key <= INT32_MAX);
  return data.kind == AttentionKind::exponentials && !data.requantizes_scores && fits && data.depth % 4 == 0 &&
         data.depth <= 64 && data.value_depth <= (data.depth == 64 ? 64 : 32) && DistanceFactor(data).is_supported() &&
         suits_averages(data);
}

void attention_run_amx(const AttentionData& data, int64_t rows, const ConstRows& q, const void* packed, const ConstRows& addend,
                       const Rows& out) {
  if (rows == 0) return;
  const AttentionSizes sizes(data);
  const Head head{data, sizes, static_cast<const int8_t*>(packed), Room(sizes, packed)};
  const Functions functions(head);
  const Averages averages(data);
  const int64_t height = least(rows, block_rows), blocks = (rows + height - 1) / height, tiles = head.key_tiles();
  const auto block_at = [&](int64_t index) {
    const int64_t row = least(index * height, rows - height);
    return Block{row, index * height - row, height};
  };
  const auto load_queries = [&](const Block& block) {
    _tile_loadd(4, static_cast<const uint8_t*>(q.data) + block.row * q.row_stride, q.row_stride);
  };
  configure(head, height);
  load_queries(block_at(0));
  for (int64_t tile = 0; tile <= tiles; ++tile) functions.multiply_keys(head, tile);
  __m512i maxima = find_maxima(head, block_at(0), addend);
  for (int64_t i = 0; i < blocks; ++i) {
    const Block block = block_at(i);
    const bool is_last = i == blocks - 1;
    if (!is_last) load_queries(block_at(i + 1));
    const __m512i weight_sums = functions.weigh(head, maxima, block, is_last ? nullptr : functions.multiply_keys);
    functions.multiply_values(head);
    if (!is_last) maxima = find_maxima(head, block_at(i + 1), addend);
    averages.finish(head.room.sums, weight_sums, block.first, height, block.row, out);
  }
  _tile_release();
}

}  // namespace fullint::detail
