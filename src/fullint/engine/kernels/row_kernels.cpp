// Makes the kernels in rows/.
#include <cmath>

#include "epilogue_constants.h"
#include "vector_kernels.h"

namespace fullint {
namespace detail {
namespace {

constexpr int64_t root_entries = 96;

// ailayernorm's table of 2^11 / sqrt(2 i + 1) for i from 32 on: 1/sqrt in the middle of [2 i, 2 i + 2).
std::array<uint8_t, root_entries> root_table() {
  std::array<uint8_t, root_entries> table;
  for (size_t entry = 0; entry < table.size(); ++entry)
    table[entry] = static_cast<uint8_t>(std::lround(2048 / std::sqrt(2 * (32 + static_cast<double>(entry)) + 1)));
  return table;
}

class RowNormKernel final : public RowKernel {
 public:
  RowNormKernel(const LayerNormSpec& spec, const RowNorm& norm, const RowFunctions& functions)
      : spec_(spec), roots_(root_table()), function_(functions.norm[static_cast<int>(norm.kind)]) {
    for (auto* values : {&spec_.channel_shift, &spec_.multiplier, &spec_.bias, &spec_.shift}) expand(*values, spec.channels);
    data_ = {{spec.channels, spec.input_type, spec.output_type},
             norm,
             spec_.channel_shift.data(),
             spec_.multiplier.data(),
             spec_.bias.data(),
             spec_.shift.data(),
             spec.epsilon,
             spec.zero_x,
             spec.zero_point,
             spec.low,
             spec.high,
             roots_.data()};
  }
  void run(int64_t rows, ConstRows x, ConstRows, Rows out) const override { function_(data_, rows, x, out); }
  size_t bytes() const override { return spec_.bias.size() * 16 + sizeof(roots_); }

 private:
  LayerNormSpec spec_;
  std::array<uint8_t, root_entries> roots_;
  RowNormFunction function_;
  RowNormData data_{};
};

class RowGeluKernel final : public RowKernel {
 public:
  RowGeluKernel(const RowTypes& types, const RowGelu& gelu, const RowFunctions& functions)
      : types_(types), gelu_(gelu), function_(functions.gelu[static_cast<int>(gelu.kind)]) {}
  void run(int64_t rows, ConstRows x, ConstRows, Rows out) const override { function_(gelu_, types_, rows, x, out); }

 private:
  RowTypes types_;
  RowGelu gelu_;
  RowGeluFunction function_;
};

}  // namespace
}  // namespace detail

std::unique_ptr<const RowKernel> Kernels::row_norm(const LayerNormSpec& spec, const RowNorm& norm) const {
  return std::make_unique<detail::RowNormKernel>(spec, norm, detail::row_functions(isa));
}

std::unique_ptr<const RowKernel> Kernels::row_gelu(const RowTypes& types, const RowGelu& gelu) const {
  return std::make_unique<detail::RowGeluKernel>(types, gelu, detail::row_functions(isa));
}

detail::RowSoftmaxFunction Kernels::row_softmax(RowSoftmaxKind kind) const {
  return detail::row_functions(isa).softmax[static_cast<int>(kind)];
}

}  // namespace fullint
