// Linear layers, portable: plain loops over weights (outputs, inputs).
#include <vector>

#include "fixed_point.h"
#include "portable.h"

namespace fullint::detail {
namespace {

constexpr int64_t rows_at_once = 16;

// Unsigned, so that partial sums may wrap; the whole sum provably fits.
template <typename Input, typename Weight>
int32_t dot(const LinearData& data, const void* x, const void* weights) {
  const auto* inputs = static_cast<const Input*>(x);
  const auto* row = static_cast<const Weight*>(weights);
  uint32_t sum = 0;
  for (int64_t input = 0; input < data.inputs; ++input)
    sum += static_cast<uint32_t>(static_cast<int32_t>(inputs[input]) * static_cast<int32_t>(row[input]));
  return static_cast<int32_t>(sum);
}

int32_t dot_of_any(const LinearData& data, const void* x, const void* weights) {
  uint64_t sum = 0;
  for (int64_t input = 0; input < data.inputs; ++input)
    sum += static_cast<uint64_t>(load(x, data.input_type, input) * load(weights, data.weight_type, input));
  return static_cast<int32_t>(sum);
}

using Dot = int32_t (*)(const LinearData&, const void* x, const void* weights);

Dot choose_dot(const LinearData& data) {
  if (data.weight_type != NumberType::s8) return dot_of_any;
  switch (data.input_type) {
    case NumberType::u8:
      return dot<uint8_t, int8_t>;
    case NumberType::s8:
      return dot<int8_t, int8_t>;
    case NumberType::s16:
      return dot<int16_t, int8_t>;
    default:
      return dot_of_any;
  }
}

// The weights of one output; `room` holds them if they have to be unpacked.
const void* weight_row(const LinearData& data, int64_t output, int8_t* room) {
  const auto* all = static_cast<const uint8_t*>(data.weights);
  if (!data.four_bit) return all + output * data.inputs * size_of(data.weight_type);
  const uint8_t* packed = all + output * ((data.inputs + 1) / 2);
  for (int64_t input = 0; input < data.inputs; ++input)
    room[input] = static_cast<int8_t>((packed[input / 2] >> (4 * (input % 2)) & 15) + data.weight_offsets[output]);
  return room;
}

}  // namespace

void linear_portable(const LinearData& data, int64_t rows, const ConstRows& x, const ConstRows& second, const Rows& out) {
  const Dot dot = choose_dot(data);
  std::vector<int8_t> room(static_cast<size_t>(data.four_bit ? data.inputs : 0));
  std::vector<int32_t> accumulators(static_cast<size_t>(least(rows, rows_at_once) * data.outputs));
  for (int64_t row = 0; row < rows; row += rows_at_once) {
    const int64_t count = least(rows_at_once, rows - row);
    for (int64_t output = 0; output < data.outputs; ++output) {
      const void* weights = weight_row(data, output, room.data());
      for (int64_t i = 0; i < count; ++i)
        accumulators[static_cast<size_t>(i * data.outputs + output)] =
            dot(data, row_of(x, data.input_type, row + i), weights);
    }
    const EpilogueData& end = data.epilogue;
    const ConstRows others{end.adds ? row_of(second, end.second_type, row) : nullptr, second.row_stride};
    finish_portable(end, NumberType::s32, count, {accumulators.data(), data.outputs}, others,
                    {row_of(out, end.output_type, row), out.row_stride});
  }
}

}  // namespace fullint::detail
