// Linear layers with AMX: blocks of up to 32 rows times 32 columns. The tile unit and the vector units work at the same
// time: while one block is multiplied, the one before it is finished, a few rows after each step of 64 inputs.
//
// For 192 inputs a block is 12 products of 16 cycles, and to finish it 300 instructions on two ports and four stores of 16
// cycles. A tile is stored right before its first product of the next block: stored together, four tiles keep the tile unit
// waiting for 60 cycles.
#include "amx/tiles.h"
#include "avx512vnni/finishers.h"
#include "avx512vnni/weights.h"
#include "scratch.h"

namespace fullint::detail {
namespace {

constexpr int64_t block_rows = 32;

// Rows in blocks of one height, where the last may overlap the one before it: only its new rows are finished.
struct Division {
  int64_t rows, blocks, height;

  explicit Division(int64_t all)
      : rows(all), blocks((all + block_rows - 1) / block_rows), height((all + blocks - 1) / blocks) {}
  bool is_tall() const { return height > 16; }  // tiles 2 and 3 are in use
  int64_t first_new(int64_t block) const { return block * height; }
  int64_t first(int64_t block) const { return block < blocks - 1 ? first_new(block) : rows - height; }
  int64_t end(int64_t block) const { return block < blocks - 1 ? first_new(block + 1) : rows; }
};

// For every end that has no finisher of its own here.
class AnyFinisher {
 public:
  AnyFinisher(const EpilogueData& epilogue, const ConstRows& second, const Rows& out)
      : epilogue_(epilogue), second_(second), out_(out) {}
  void use(int64_t panel) { panel_ = panel; }
  void rows(const int32_t* accumulators, int64_t, int64_t row, int64_t count) const {
    finish_panel_avx512(epilogue_, panel_, accumulators, row, count, second_, out_);
  }

 private:
  const EpilogueData& epilogue_;
  const ConstRows& second_;
  const Rows& out_;
  int64_t panel_ = 0;
};

// A block whose accumulators are in the tiles, or stored and partly finished. Only its `rows` from `row` on are new.
struct Block {
  int64_t panel = 0, row = 0, rows = 0;
  int32_t* accumulators = nullptr;
  int64_t skipped = 0;  // rows before the first new one
};

template <typename Finisher>
class Pending {
 public:
  FULLINT_INLINE explicit Pending(const Finisher& finisher) : finisher_(finisher) {}

  FULLINT_INLINE void set(const Block& block, int64_t steps) {
    next_ = block.accumulators + block.skipped * panel_columns;
    row_ = block.row;
    left_ = block.rows;
    share_ = (block.rows + 2 * steps - 1) / (2 * steps) * 2;  // pairs of rows
    finisher_.use(block.panel);
  }
  FULLINT_INLINE void finish_share() { finish(share_ < left_ ? share_ : left_); }
  FULLINT_INLINE void finish_all() { finish(left_); }

 private:
  FULLINT_INLINE void finish(int64_t count) {
    if (count == 0) return;
    finisher_.rows(next_, panel_columns, row_, count);
    next_ += count * panel_columns;
    row_ += count;
    left_ -= count;
  }

  Finisher finisher_;
  const int32_t* next_ = nullptr;
  int64_t row_ = 0, left_ = 0, share_ = 0;
};

constexpr int64_t sums_stride = panel_columns * sizeof(int32_t);

// One step of 64 inputs times the upper 16 rows of a block ...
template <bool is_signed>
FULLINT_INLINE void multiply_upper(const uint8_t* x, int64_t row_stride, const int8_t* weights) {
  _tile_loadd(4, x, row_stride);
  _tile_loadd(6, weights, 64);
  FULLINT_MULTIPLY_ADD(is_signed, true, 0, 4, 6);
  _tile_loadd(7, weights + tile_bytes, 64);
  FULLINT_MULTIPLY_ADD(is_signed, true, 1, 4, 7);
}

// ... and times the lower ones, with the weights still in place.
template <bool is_signed>
FULLINT_INLINE void multiply_lower(const uint8_t* x, int64_t row_stride) {
  _tile_loadd(5, x + 16 * row_stride, row_stride);
  FULLINT_MULTIPLY_ADD(is_signed, true, 2, 5, 6);
  FULLINT_MULTIPLY_ADD(is_signed, true, 3, 5, 7);
}

// The first step of a block: each tile's sums of the block before go to `sums` right before the tile is used again.
template <bool is_signed>
FULLINT_INLINE void multiply_first(const uint8_t* x, int64_t row_stride, const int8_t* weights, bool tall, int32_t* sums) {
  _tile_loadd(4, x, row_stride);
  _tile_loadd(6, weights, 64);
  _tile_loadd(7, weights + tile_bytes, 64);
  if (tall) _tile_loadd(5, x + 16 * row_stride, row_stride);
  _tile_stored(0, sums, sums_stride);
  _tile_zero(0);
  FULLINT_MULTIPLY_ADD(is_signed, true, 0, 4, 6);
  _tile_stored(1, sums + 16, sums_stride);
  _tile_zero(1);
  FULLINT_MULTIPLY_ADD(is_signed, true, 1, 4, 7);
  if (!tall) return;
  _tile_stored(2, sums + 16 * panel_columns, sums_stride);
  _tile_zero(2);
  FULLINT_MULTIPLY_ADD(is_signed, true, 2, 5, 6);
  _tile_stored(3, sums + 16 * panel_columns + 16, sums_stride);
  _tile_zero(3);
  FULLINT_MULTIPLY_ADD(is_signed, true, 3, 5, 7);
}

// Three blocks are under way at a time: one is multiplied; the one before it leaves the tiles during the first step and is
// finished from then on, the rest of the one before that during the first step.
template <bool is_signed, typename Finisher>
void run(const LinearData& data, const ConstRows& x, const ConstRows& second, const Rows& out, const Division& division) {
  alignas(64) int32_t accumulators[2][block_rows * panel_columns];
  int8_t* room = data.four_bit
                     ? static_cast<int8_t*>(thread_scratch(Scratch::weights, data.blocks * 2 * tile_bytes))
                     : nullptr;
  Pending<Finisher> pending(Finisher(data.epilogue, second, out));
  Block before;
  before.accumulators = accumulators[1];
  const bool tall = division.is_tall();
  int turn = 0;
  for (int64_t panel = 0; panel < data.panels; ++panel) {
    const int8_t* panel_start = panel_weights(data, panel, room);
    for (int64_t block = 0; block < division.blocks; ++block, turn ^= 1) {
      const int64_t first = division.first(block), first_new = division.first_new(block);
      const auto* inputs = static_cast<const uint8_t*>(x.data) + first * x.row_stride;
      const int8_t* weights = panel_start;
      multiply_first<is_signed>(inputs, x.row_stride, weights, tall, before.accumulators);
      pending.finish_all();
      pending.set(before, data.blocks);
      for (int64_t step = 1; step < data.blocks; ++step) {
        inputs += block_depth;
        weights += 2 * tile_bytes;
        multiply_upper<is_signed>(inputs, x.row_stride, weights);
        pending.finish_share();
        if (tall) multiply_lower<is_signed>(inputs, x.row_stride);
      }
      before = {panel, first_new, division.end(block) - first_new, accumulators[turn], first_new - first};
    }
  }
  pending.finish_all();
  _tile_stored(0, before.accumulators, sums_stride);
  _tile_stored(1, before.accumulators + 16, sums_stride);
  if (tall) {
    _tile_stored(2, before.accumulators + 16 * panel_columns, sums_stride);
    _tile_stored(3, before.accumulators + 16 * panel_columns + 16, sums_stride);
  }
  pending.set(before, 1);
  pending.finish_all();
}

template <bool is_signed>
void run_any(const LinearData& data, const ConstRows& x, const ConstRows& second, const Rows& out, const Division& division) {
  const EpilogueData& end = data.epilogue;
  auto function = run<is_signed, AnyFinisher>;
  if (end.requantizes && !end.clips && !end.adds && end.route == Route::high) {
    if (end.code_type == NumberType::u8)
      function = end.has_table ? run<is_signed, TableFinisher<Route::high, false, false>>
                               : run<is_signed, ByteFinisher<Route::high, false, false>>;
    if (end.code_type == NumberType::s8 && !end.has_table) function = run<is_signed, ByteFinisher<Route::high, false, true>>;
  }
  if (end.requantizes && !end.clips && end.route == Route::whole && end.code_type == NumberType::s16) {
    if (!end.adds) function = run<is_signed, WordFinisher<Route::whole, false>>;
    if (end.adds && end.plain_addition) function = run<is_signed, AddedFinisher<Route::whole, false, true>>;
  }
  function(data, x, second, out, division);
}

}  // namespace

void linear_amx(const LinearData& data, int64_t rows, const ConstRows& x, const ConstRows& second, const Rows& out) {
  if (rows == 0) return;
  const Division division(rows);
  configure_tiles(division.height < 16 ? division.height : 16, division.height > 16 ? division.height - 16 : 1);
  (data.input_type == NumberType::s8 ? run_any<true> : run_any<false>)(data, x, second, out, division);
  _tile_release();
}

}  // namespace fullint::detail
