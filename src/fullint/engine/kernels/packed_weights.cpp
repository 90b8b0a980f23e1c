#include "packed_weights.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "data.h"

namespace fullint::detail {
namespace {

constexpr int64_t tile_bytes = 1024;
constexpr int largest_nibble = 15;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// The offset of each row, or nothing if a row spans too much.
std::optional<std::vector<int8_t>> row_offsets(const LinearSpec& spec) {
  if (spec.weight_type != NumberType::s8) return std::nullopt;
  std::vector<int8_t> offsets(static_cast<size_t>(spec.outputs));
  const auto* row = static_cast<const int8_t*>(spec.weights);
  for (int8_t& offset : offsets) {
    int low = 0, high = 0;
    for (int64_t input = 0; input < spec.inputs; ++input, ++row) {
      low = std::min<int>(low, *row);
      high = std::max<int>(high, *row);
    }
    if (high - low > largest_nibble) return std::nullopt;
    offset = static_cast<int8_t>(low);
  }
  return offsets;
}

// Where weights (output, 0) lie in the vector layout, were they bytes.
struct PanelPlace {
  int64_t panel, tile, column;
  explicit PanelPlace(int64_t output)
      : panel(output / panel_columns), tile(output % panel_columns / 4 % 2), column(output % panel_columns / 8 * 4 + output % 4) {}
};

// Four nibbles, each in a byte: weights less their offset. In one word, so the bytes must not carry over: they are moved to
// the middle of their range meanwhile.
uint32_t four_nibbles(const int8_t* weights, int8_t offset) {
  constexpr uint32_t each = 0x01010101, middle = 0x80 * each;
  uint32_t four;
  std::memcpy(&four, weights, 4);
  return ((four ^ middle) + static_cast<uint32_t>(-offset) * each) ^ middle;
}

// Pairs of a tile's rows in one: the even one's bytes in the low halves, the odd one's in the high ones.
void pack_row_four_bit(const int8_t* row, int64_t inputs, int8_t offset, uint8_t* tile) {
  for (int64_t input = 0; input < round_up(inputs, block_depth); input += 8) {
    int8_t rest[8] = {};
    const int8_t* weights = row + input;
    if (input + 8 > inputs) {
      if (input < inputs) std::memcpy(rest, weights, static_cast<size_t>(inputs - input));
      weights = rest;
    }
    const uint32_t bytes = four_nibbles(weights, offset) | four_nibbles(weights + 4, offset) << 4;
    std::memcpy(tile + input / block_depth * tile_bytes + input % block_depth / 8 * 64, &bytes, 4);
  }
}

uint8_t* place_of_four(uint8_t* tile, int64_t input) {
  return tile + input / block_depth * 2 * tile_bytes + input % block_depth / 4 * 64;
}

void pack_row(const int8_t* row, int64_t inputs, uint8_t* tile) {
  const int64_t whole = inputs / 4 * 4;
  for (int64_t input = 0; input < whole; input += 4) std::memcpy(place_of_four(tile, input), row + input, 4);
  if (whole < inputs) std::memcpy(place_of_four(tile, whole), row + whole, static_cast<size_t>(inputs - whole));
}

}  // namespace

PackedWeights pack_panels(const LinearSpec& spec) {
  const auto offsets = row_offsets(spec);
  const int64_t panels = round_up(spec.outputs, panel_columns) / panel_columns;
  const int64_t panel_bytes = round_up(spec.inputs, block_depth) * panel_columns / (offsets ? 2 : 1);
  PackedWeights packed;
  packed.four_bit = offsets.has_value();
  packed.values = AlignedArray<uint8_t>::constant(static_cast<size_t>(panels * panel_bytes));
  if (offsets) packed.offsets = AlignedArray<int8_t>::constant(static_cast<size_t>(panels * 128));
  const auto* row = static_cast<const int8_t*>(spec.weights);
  for (int64_t output = 0; output < spec.outputs; ++output, row += spec.inputs) {
    const PanelPlace place(output);
    uint8_t* panel = packed.values.data() + place.panel * panel_bytes + place.column * 4;
    if (offsets) {
      const int8_t offset = (*offsets)[static_cast<size_t>(output)];
      pack_row_four_bit(row, spec.inputs, offset, panel + place.tile * tile_bytes / 2);
      std::memset(packed.offsets.data() + (place.panel * 2 + place.tile) * 64 + place.column * 4, offset, 4);
    } else {
      pack_row(row, spec.inputs, panel + place.tile * tile_bytes);
    }
  }
  return packed;
}

PackedWeights pack_rows(const LinearSpec& spec) {
  const auto offsets = row_offsets(spec);
  PackedWeights packed;
  if (!offsets) {
    packed.values = AlignedArray<uint8_t>::constant(static_cast<size_t>(spec.outputs * spec.inputs * size_of(spec.weight_type)));
    std::memcpy(packed.values.data(), spec.weights, packed.values.bytes());
    return packed;
  }
  packed.four_bit = true;
  packed.offsets = AlignedArray<int8_t>::constant(offsets->size());
  std::copy(offsets->begin(), offsets->end(), packed.offsets.data());
  packed.values = AlignedArray<uint8_t>::constant(static_cast<size_t>(spec.outputs * ((spec.inputs + 1) / 2)));
  const auto* weights = static_cast<const int8_t*>(spec.weights);
  uint8_t* to = packed.values.data();
  for (int64_t output = 0; output < spec.outputs; ++output) {
    const int8_t offset = packed.offsets[static_cast<size_t>(output)];
    for (int64_t input = 0; input < spec.inputs; input += 2, ++to) {
      const int second = input + 1 < spec.inputs ? weights[input + 1] - offset : 0;
      *to = static_cast<uint8_t>((weights[input] - offset) | second << 4);
    }
    weights += spec.inputs;
  }
  return packed;
}

}  // namespace fullint::detail
