// Makes linear layers: packs weights, chooses between vector and portable code.
#include "epilogue_constants.h"
#include "fixed_point.h"
#include "packed_weights.h"
#include "portable.h"
#include "scratch.h"
#include "vector_kernels.h"

namespace fullint {
namespace detail {
namespace {

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

bool is_byte(NumberType type) { return size_of(type) == 1; }

std::vector<int32_t> offset_correction(const LinearSpec& spec) {
  std::vector<int32_t> correction(static_cast<size_t>(spec.outputs));
  const auto* weights = static_cast<const int8_t*>(spec.weights);
  for (int64_t output = 0; output < spec.outputs; ++output)
    for (int64_t input = 0; input < spec.inputs; ++input)
      correction[static_cast<size_t>(output)] -= 128 * weights[output * spec.inputs + input];
  return correction;
}

EpilogueSpec full_epilogue(const LinearSpec& spec) {
  return {spec.outputs, spec.bias, spec.requantization, spec.table, spec.table_output, spec.addition, spec.second_type,
          spec.output_type};
}

class LinearKernel final : public RowKernel {
 public:
  LinearKernel(const LinearSpec& spec, const InstructionSet* set)
      : vector_(set != nullptr && spec.weight_type == NumberType::s8 && is_byte(spec.input_type) ? set->linear : nullptr),
        correction_(vector_ != nullptr && set->linear_offsets_signed_input && spec.input_type == NumberType::s8
                        ? offset_correction(spec)
                        : std::vector<int32_t>{}),
        epilogue_(full_epilogue(spec), correction_),
        fuses_(epilogue_.data().route != Route::portable && (spec.requantization || !spec.addition)) {
    data_.inputs = spec.inputs;
    data_.outputs = spec.outputs;
    data_.blocks = round_up(spec.inputs, block_depth) / block_depth;
    data_.panels = round_up(spec.outputs, panel_columns) / panel_columns;
    data_.input_type = spec.input_type;
    data_.weight_type = spec.weight_type;
    weights_ = vector_ != nullptr ? pack_panels(spec) : pack_rows(spec);
    data_.four_bit = weights_.four_bit;
    data_.weights = weights_.values.data();
    data_.weight_offsets = weights_.offsets.data();
    data_.epilogue = epilogue_.data();
    if (vector_ == nullptr || fuses_) return;
    EpilogueSpec accumulators;
    accumulators.columns = spec.outputs;
    sums_.emplace(std::move(accumulators), correction_);
    data_.epilogue = sums_->data();
  }

  void run(int64_t rows, ConstRows x, ConstRows second, Rows out) const override {
    if (vector_ == nullptr) return linear_portable(data_, rows, x, second, out);
    // A chunk of rows at a time where something passes through scratch.
    const bool pads = data_.inputs % block_depth != 0;
    const int64_t step = pads || !fuses_ ? 256 : rows;
    for (int64_t row = 0; row < rows; row += step) {
      const int64_t count = least(step, rows - row);
      ConstRows inputs{row_of(x, data_.input_type, row), x.row_stride};
      if (pads) inputs = pad(count, inputs);
      const NumberType second_type = epilogue_.data().second_type;
      const ConstRows others{second.data == nullptr ? nullptr : row_of(second, second_type, row), second.row_stride};
      run_vector(count, inputs, others, {row_of(out, epilogue_.data().output_type, row), out.row_stride});
    }
  }

  size_t bytes() const override { return weights_.bytes() + epilogue_.bytes(); }

 private:
  void run_vector(int64_t rows, ConstRows x, ConstRows second, Rows out) const {
    if (fuses_) return vector_(data_, rows, x, second, out);
    void* sums = thread_scratch(Scratch::accumulators, rows * data_.outputs * 4);
    vector_(data_, rows, x, {}, {sums, data_.outputs});
    finish_portable(epilogue_.data(), NumberType::s32, rows, {sums, data_.outputs}, second, out);
  }

  // Rows with as many bytes as the packed weights; what follows the inputs meets zero weights.
  ConstRows pad(int64_t rows, ConstRows x) const {
    const int64_t stride = data_.blocks * block_depth;
    auto* padded = static_cast<char*>(thread_scratch(Scratch::inputs, rows * stride));
    for (int64_t row = 0; row < rows; ++row) {
      std::memcpy(padded + row * stride, row_of(x, data_.input_type, row), static_cast<size_t>(data_.inputs));
      std::memset(padded + row * stride + data_.inputs, 0, static_cast<size_t>(stride - data_.inputs));
    }
    return {padded, stride};
  }

  LinearFunction vector_;
  std::vector<int32_t> correction_;
  EpilogueConstants epilogue_;
  std::optional<EpilogueConstants> sums_;
  bool fuses_;
  PackedWeights weights_;
  LinearData data_{};
};

}  // namespace
}  // namespace detail

std::unique_ptr<const RowKernel> Kernels::linear(const LinearSpec& spec) const {
  const bool is_wide = spec.input_type == NumberType::s16 && spec.weight_type == NumberType::s8;
  if (is_wide && isa != Isa::portable) return detail::make_wide_linear(spec, *this);
  return std::make_unique<detail::LinearKernel>(spec, detail::instruction_set(isa));
}

}  // namespace fullint
