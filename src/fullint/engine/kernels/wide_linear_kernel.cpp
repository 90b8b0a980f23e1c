// Linear layers of 16-bit inputs, by units that multiply bytes. With x + 2^15 = 256 high + low, both of them unsigned bytes,
//   x W^T = 256 (high W^T) + low W^T - 2^15 (sums of the rows of W):
// twice the rows, one set of packed weights, at the speed of two 8-bit layers. All of it modulo 2^32; the result provably fits.
#include "epilogue_constants.h"
#include "fixed_point.h"
#include "portable.h"
#include "scratch.h"
#include "vector_kernels.h"

namespace fullint::detail {
namespace {

constexpr int64_t rows_at_once = 64;

// The high bytes of `rows` rows, then their low bytes.
void split_rows(int64_t rows, int64_t columns, const ConstRows& x, uint8_t* bytes) {
  uint8_t *high = bytes, *low = bytes + rows * columns;
  for (int64_t row = 0; row < rows; ++row, high += columns, low += columns) {
    const auto* words = static_cast<const int16_t*>(row_of(x, NumberType::s16, row));
    for (int64_t column = 0; column < columns; ++column) {
      const auto offset = static_cast<uint16_t>(words[column] ^ 0x8000);
      high[column] = static_cast<uint8_t>(offset >> 8);
      low[column] = static_cast<uint8_t>(offset);
    }
  }
}

LinearSpec byte_layer(const LinearSpec& spec) {
  LinearSpec bytes;
  bytes.inputs = spec.inputs;
  bytes.outputs = spec.outputs;
  bytes.weights = spec.weights;
  bytes.bias.assign(static_cast<size_t>(spec.outputs), 0);
  return bytes;
}

// The bias and what the offset of 2^15 leaves too much.
std::vector<uint32_t> corrected_bias(const LinearSpec& spec) {
  const auto* weights = static_cast<const int8_t*>(spec.weights);
  std::vector<uint32_t> result(spec.bias.begin(), spec.bias.end());
  for (uint32_t& start : result)
    for (int64_t input = 0; input < spec.inputs; ++input) start -= static_cast<uint32_t>(*weights++) << 15;
  return result;
}

EpilogueSpec epilogue_after_bias(const LinearSpec& spec) {
  return {spec.outputs, {}, spec.requantization, spec.table, spec.table_output, spec.addition, spec.second_type,
          spec.output_type};
}

class WideLinearKernel final : public RowKernel {
 public:
  WideLinearKernel(const LinearSpec& spec, const Kernels& kernels)
      : inputs_(spec.inputs),
        outputs_(spec.outputs),
        bytes_(kernels.linear(byte_layer(spec))),
        bias_(corrected_bias(spec)),
        epilogue_(epilogue_after_bias(spec)),
        finish_(finish_portable) {
    const InstructionSet* set = instruction_set(kernels.isa);
    const EpilogueData& data = epilogue_.data();
    stays_accumulators_ = !data.requantizes && !data.adds && !data.has_table && data.output_type == NumberType::s32;
    if (data.requantizes && data.route != Route::portable) finish_ = set->finish;
  }

  void run(int64_t rows, ConstRows x, ConstRows second, Rows out) const override {
    const EpilogueData& data = epilogue_.data();
    for (int64_t row = 0; row < rows; row += rows_at_once) {
      const int64_t count = least(rows_at_once, rows - row);
      auto* halves = static_cast<uint8_t*>(thread_scratch(Scratch::byte_inputs, 2 * count * inputs_));
      auto* sums = static_cast<int32_t*>(thread_scratch(Scratch::byte_sums, 2 * count * outputs_ * 4));
      split_rows(count, inputs_, {row_of(x, NumberType::s16, row), x.row_stride}, halves);
      bytes_->run(2 * count, {halves, inputs_}, {}, {sums, outputs_});
      const Rows target{row_of(out, data.output_type, row), out.row_stride};
      combine(count, sums, stays_accumulators_ ? target : Rows{sums, outputs_});
      if (stays_accumulators_) continue;
      const ConstRows others{data.adds ? row_of(second, data.second_type, row) : nullptr, second.row_stride};
      finish_(data, NumberType::s32, count, {sums, outputs_}, others, target);
    }
  }

  size_t bytes() const override { return bytes_->bytes() + epilogue_.bytes() + bias_.size() * 4; }

 private:
  void combine(int64_t rows, const int32_t* sums, const Rows& out) const {
    const auto *high = reinterpret_cast<const uint32_t*>(sums), *low = high + rows * outputs_;
    for (int64_t row = 0; row < rows; ++row, high += outputs_, low += outputs_) {
      auto* result = static_cast<uint32_t*>(row_of(out, NumberType::s32, row));
      for (int64_t output = 0; output < outputs_; ++output)
        result[output] = (high[output] << 8) + low[output] + bias_[static_cast<size_t>(output)];
    }
  }

  int64_t inputs_, outputs_;
  std::unique_ptr<const RowKernel> bytes_;
  std::vector<uint32_t> bias_;
  EpilogueConstants epilogue_;
  EpilogueFunction finish_;
  bool stays_accumulators_;
};

}  // namespace

std::unique_ptr<const RowKernel> make_wide_linear(const LinearSpec& spec, const Kernels& kernels) {
  return std::make_unique<WideLinearKernel>(spec, kernels);
}

}  // namespace fullint::detail
