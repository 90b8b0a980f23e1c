// Linear layers with AMX: blocks of up to 32 rows times 32 columns. The tile unit and the vector units work at the same
// time: while one block is multiplied, the one before it is finished, a few rows after each step.
#include "amx/tiles.h"
#include "avx512vnni/epilogue.h"
#include "avx512vnni/weights.h"
#include "scratch.h"

namespace fullint::detail {
namespace {

constexpr int64_t block_rows = 32;

// A block that is multiplied but not yet finished.
struct Pending {
  const int32_t* accumulators = nullptr;
  int64_t panel = 0, row = 0, rows = 0, done = 0;
};

struct Job {
  const LinearData& data;
  const ConstRows& second;
  const Rows& out;

  void finish_some(Pending& pending, int64_t count) const {
    const int64_t left = pending.rows - pending.done;
    if (left <= 0) return;
    if (count > left) count = left;
    finish_panel_avx512(data.epilogue, pending.panel, pending.accumulators + pending.done * panel_columns,
                        pending.row + pending.done, count, second, out);
    pending.done += count;
  }
};

// One block's accumulators; `pending` is finished on the way.
template <bool is_signed, bool two_tiles>
void multiply(const Job& job, const uint8_t* x, int64_t row_stride, const int8_t* weights, Pending& pending, int32_t* out) {
  const int64_t blocks = job.data.blocks;
  const int64_t share = (pending.rows + blocks - 1) / blocks, rows_a_step = share < 4 ? 4 : share;
  _tile_zero(0);
  _tile_zero(1);
  if (two_tiles) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t block = 0; block < blocks; ++block, x += block_depth, weights += 2 * tile_bytes) {
    _tile_loadd(4, x, row_stride);
    if (two_tiles) _tile_loadd(5, x + 16 * row_stride, row_stride);
    _tile_loadd(6, weights, 64);
    _tile_loadd(7, weights + tile_bytes, 64);
    FULLINT_MULTIPLY_ADD(is_signed, true, 0, 4, 6);
    FULLINT_MULTIPLY_ADD(is_signed, true, 1, 4, 7);
    if (two_tiles) {
      FULLINT_MULTIPLY_ADD(is_signed, true, 2, 5, 6);
      FULLINT_MULTIPLY_ADD(is_signed, true, 3, 5, 7);
    }
    job.finish_some(pending, rows_a_step);
  }
  job.finish_some(pending, block_rows);
  constexpr int64_t stride = panel_columns * sizeof(int32_t);
  _tile_stored(0, out, stride);
  _tile_stored(1, out + 16, stride);
  if (two_tiles) {
    _tile_stored(2, out + 16 * panel_columns, stride);
    _tile_stored(3, out + 16 * panel_columns + 16, stride);
  }
}

// How rows are divided: blocks of one height, where the last may overlap the one before it (only its new rows are finished);
// or full blocks and 16 last rows, of which at least one is new, if that is less work.
struct Division {
  int64_t rows, blocks, height;
  bool short_end;

  explicit Division(int64_t all) : rows(all), blocks((all + block_rows - 1) / block_rows) {
    short_end = rows > block_rows && rows % block_rows > 0 && rows % block_rows <= 16;
    height = short_end ? block_rows : (rows + blocks - 1) / blocks;
  }
  bool is_short(int64_t block) const { return height <= 16 || (short_end && block == blocks - 1); }
  int64_t first_new(int64_t block) const { return block * height; }
  int64_t first(int64_t block) const {
    if (block < blocks - 1) return first_new(block);
    return rows - (short_end ? 16 : height);
  }
  int64_t end(int64_t block) const { return block == blocks - 1 ? rows : first_new(block + 1); }
};

template <bool is_signed>
void run(const Job& job, const ConstRows& x, const Division& division) {
  const LinearData& data = job.data;
  alignas(64) int32_t accumulators[2][block_rows * panel_columns];
  int8_t* room = data.four_bit
                     ? static_cast<int8_t*>(thread_scratch(Scratch::weights, data.blocks * 2 * tile_bytes))
                     : nullptr;
  Pending pending;
  int turn = 0;
  for (int64_t panel = 0; panel < data.panels; ++panel) {
    const int8_t* weights = panel_weights(data, panel, room);
    for (int64_t block = 0; block < division.blocks; ++block, turn ^= 1) {
      const int64_t first = division.first(block), first_new = division.first_new(block);
      const auto* inputs = static_cast<const uint8_t*>(x.data) + first * x.row_stride;
      (division.is_short(block) ? multiply<is_signed, false> : multiply<is_signed, true>)(job, inputs, x.row_stride, weights,
                                                                                      pending, accumulators[turn]);
      pending = {accumulators[turn] + (first_new - first) * panel_columns, panel, first_new, division.end(block) - first_new, 0};
    }
  }
  job.finish_some(pending, block_rows);
}

}  // namespace

void linear_amx(const LinearData& data, int64_t rows, const ConstRows& x, const ConstRows& second, const Rows& out) {
  if (rows == 0) return;
  const Division division(rows);
  const Job job{data, second, out};
  configure_tiles(division.height < 16 ? division.height : 16, division.height > 16 ? division.height - 16 : 1);
  (data.input_type == NumberType::s8 ? run<true> : run<false>)(job, x, division);
  _tile_release();
}

}  // namespace fullint::detail
