// Linear layers, portable: plain loops over weights (outputs, inputs).
#include <vector>

#include "fixed_point.h"
#include "portable.h"

namespace fullint::detail {
namespace {

template <typename Input, typename Weight>
void accumulate(const LinearData& data, const Input* x, const Weight* weights, int32_t* accumulators) {
  for (int64_t output = 0; output < data.outputs; ++output) {
    const Weight* row = weights + output * data.inputs;
    // Unsigned, so that partial sums may wrap; the whole sum provably fits.
    uint32_t sum = 0;
    for (int64_t input = 0; input < data.inputs; ++input)
      sum += static_cast<uint32_t>(static_cast<int32_t>(x[input]) * static_cast<int32_t>(row[input]));
    accumulators[output] = static_cast<int32_t>(sum);
  }
}

void accumulate_any(const LinearData& data, const void* x, int32_t* accumulators) {
  for (int64_t output = 0; output < data.outputs; ++output) {
    uint64_t sum = 0;
    for (int64_t input = 0; input < data.inputs; ++input)
      sum += static_cast<uint64_t>(load(x, data.input_type, input) *
                                   load(data.weights, data.weight_type, output * data.inputs + input));
    accumulators[output] = static_cast<int32_t>(sum);
  }
}

// Two weights a byte, the earlier one in the low half.
void accumulate_four_bit(const LinearData& data, const void* x, int32_t* accumulators) {
  const auto* packed = static_cast<const uint8_t*>(data.weights);
  for (int64_t output = 0; output < data.outputs; ++output) {
    int64_t sum = 0;
    for (int64_t input = 0; input < data.inputs; ++input) {
      const int64_t index = output * data.inputs + input;
      const int weight = ((packed[index / 2] >> (4 * (index % 2)) & 15) ^ 8) - 8;
      sum += load(x, data.input_type, input) * weight;
    }
    accumulators[output] = static_cast<int32_t>(sum);
  }
}

void accumulate_row(const LinearData& data, const void* x, int32_t* accumulators) {
  const bool byte_weights = data.weight_type == NumberType::s8;
  if (data.four_bit)
    accumulate_four_bit(data, x, accumulators);
  else if (byte_weights && data.input_type == NumberType::u8)
    accumulate(data, static_cast<const uint8_t*>(x), static_cast<const int8_t*>(data.weights), accumulators);
  else if (byte_weights && data.input_type == NumberType::s8)
    accumulate(data, static_cast<const int8_t*>(x), static_cast<const int8_t*>(data.weights), accumulators);
  else if (byte_weights && data.input_type == NumberType::s16)
    accumulate(data, static_cast<const int16_t*>(x), static_cast<const int8_t*>(data.weights), accumulators);
  else
    accumulate_any(data, x, accumulators);
}

}  // namespace

void linear_portable(const LinearData& data, int64_t rows, const ConstRows& x, const ConstRows& second, const Rows& out) {
  std::vector<int32_t> accumulators(static_cast<size_t>(data.outputs));
  for (int64_t row = 0; row < rows; ++row) {
    accumulate_row(data, row_of(x, data.input_type, row), accumulators.data());
    const ConstRows one_second{data.epilogue.adds ? row_of(second, data.epilogue.second_type, row) : nullptr, 0};
    const Rows one_out{row_of(out, data.epilogue.output_type, row), 0};
    finish_portable(data.epilogue, NumberType::s32, 1, {accumulators.data(), 0}, one_second, one_out);
  }
}

}  // namespace fullint::detail
