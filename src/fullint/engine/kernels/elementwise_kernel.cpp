// Makes requantizations, residual additions and table lookups that stand alone.
#include "epilogue_constants.h"
#include "portable.h"
#include "vector_kernels.h"

namespace fullint {
namespace detail {
namespace {

class ElementwiseKernel final : public RowKernel {
 public:
  ElementwiseKernel(EpilogueSpec spec, NumberType x_type, const InstructionSet* set)
      : epilogue_(std::move(spec)), x_type_(x_type), function_(finish_portable) {
    const EpilogueData& data = epilogue_.data();
    const bool sums_words = !data.adds || x_type != NumberType::s32;
    if (set != nullptr && set->finish != nullptr && data.route != Route::portable && sums_words) function_ = set->finish;
  }
  void run(int64_t rows, ConstRows x, ConstRows second, Rows out) const override {
    function_(epilogue_.data(), x_type_, rows, x, second, out);
  }
  size_t bytes() const override { return epilogue_.bytes(); }

 private:
  EpilogueConstants epilogue_;
  NumberType x_type_;
  EpilogueFunction function_;
};

class LookupKernel final : public RowKernel {
 public:
  LookupKernel(const LookupSpec& spec, const InstructionSet* set)
      : spec_(spec), function_(set != nullptr && set->lookup != nullptr ? set->lookup : lookup_portable) {}
  void run(int64_t rows, ConstRows x, ConstRows, Rows out) const override {
    function_(spec_.table.data(), spec_.columns, rows, x, out);
  }

 private:
  LookupSpec spec_;
  LookupFunction function_;
};

}  // namespace
}  // namespace detail

std::unique_ptr<const RowKernel> Kernels::requantize(const RequantizeSpec& spec) const {
  detail::EpilogueSpec epilogue;
  epilogue.columns = spec.columns;
  epilogue.requantization = spec.requantization;
  epilogue.output_type = spec.output_type;
  return std::make_unique<detail::ElementwiseKernel>(std::move(epilogue), spec.input_type, detail::instruction_set(isa));
}

std::unique_ptr<const RowKernel> Kernels::rescaled_add(const RescaledAddSpec& spec) const {
  detail::EpilogueSpec epilogue;
  epilogue.columns = spec.columns;
  epilogue.addition = spec.addition;
  epilogue.second_type = spec.b_type;
  epilogue.output_type = spec.output_type;
  return std::make_unique<detail::ElementwiseKernel>(std::move(epilogue), spec.a_type, detail::instruction_set(isa));
}

std::unique_ptr<const RowKernel> Kernels::lookup(const LookupSpec& spec) const {
  return std::make_unique<detail::LookupKernel>(spec, detail::instruction_set(isa));
}

}  // namespace fullint
