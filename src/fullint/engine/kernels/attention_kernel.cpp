// Makes attention heads.
#include <algorithm>

#include "epilogue_constants.h"
#include "fixed_point.h"
#include "portable.h"
#include "scratch.h"
#include "vector_kernels.h"

namespace fullint {
namespace detail {
namespace {

EpilogueSpec output_epilogue(const AttentionSpec& spec) {
  EpilogueSpec epilogue;
  epilogue.columns = spec.value_depth;
  epilogue.requantization = spec.requantization;
  epilogue.output_type = spec.output_type;
  return epilogue;
}

bool is_byte(NumberType type) { return size_of(type) == 1; }

AlignedArray<int16_t> copy_table(const std::vector<int16_t>& table) {
  AlignedArray<int16_t> copy(table.size() + 1);
  std::copy(table.begin(), table.end(), copy.data());
  return copy;
}

bool has_two_byte_weights(const AttentionSpec& spec) {
  const bool wide_levels = std::any_of(spec.table.begin(), spec.table.end(), [](int16_t level) { return level > 255; });
  return spec.kind == AttentionKind::log2_softmax || (spec.kind == AttentionKind::table_softmax && wide_levels) ||
         (spec.kind == AttentionKind::row_softmax && weight_bits(spec.row_softmax) > 8);
}

// Vector kernels keep requantized scores in bytes, and sums in int32.
bool suits_vectors(const AttentionSpec& spec) {
  const bool bytes = is_byte(spec.query_type) && is_byte(spec.key_type) && is_byte(spec.value_type);
  return bytes && spec.keys < 65536 && (!spec.score_requantization || spec.score_requantization->intermediate_bits == 16);
}

class AttentionKernel final : public Attention {
 public:
  AttentionKernel(const AttentionSpec& spec, const InstructionSet* set, const RowFunctions& row_functions)
      : score_(spec.score_requantization),
        table_(copy_table(spec.table)),
        epilogue_(output_epilogue(spec)),
        functions_(&attention_portable) {
    data_.keys = spec.keys;
    data_.depth = spec.depth;
    data_.value_depth = spec.value_depth;
    data_.query_type = spec.query_type;
    data_.key_type = spec.key_type;
    data_.value_type = spec.value_type;
    data_.zero_query = spec.zero_query;
    data_.zero_key = spec.zero_key;
    data_.zero_value = spec.zero_value;
    data_.has_addend = spec.has_addend;
    data_.kind = spec.kind;
    data_.pre_shift = spec.factor.pre_shift;
    data_.multiplier = spec.factor.multiplier;
    data_.shift = spec.factor.shift;
    data_.log2_rounding = spec.log2_rounding;
    data_.table = table_.data();
    data_.table_entries = static_cast<int64_t>(spec.table.size());
    data_.row_softmax = spec.row_softmax;
    data_.row_softmax.as_powers = gives_powers(spec.row_softmax);
    data_.row_softmax_function = row_functions.softmax[static_cast<int>(spec.row_softmax.kind)];
    data_.two_byte_weights = has_two_byte_weights(spec);
    data_.value_bits = spec.value_bits;
    data_.fraction_bits = spec.fraction_bits;
    if (score_) {
      data_.requantizes_scores = true;
      data_.score_requantize = {score_->pre_shift.data(), score_->multiplier.data(), score_->shift.data(),
                                score_->intermediate_bits, score_->zero_point, score_->low, score_->high};
    }
    if (set != nullptr && set->attention != nullptr && suits_vectors(spec)) functions_ = set->attention;
    data_.epilogue = epilogue_.data();
    if (functions_ == &attention_portable || epilogue_.data().route != Route::portable) return;
    EpilogueSpec accumulators;
    accumulators.columns = spec.value_depth;
    sums_.emplace(std::move(accumulators));
    data_.epilogue = sums_->data();
  }

  size_t packed_bytes() const override { return functions_->packed_bytes(data_); }
  void pack(ConstRows k, ConstRows v, void* packed) const override { functions_->pack(data_, k, v, packed); }
  void run(int64_t rows, ConstRows q, const void* packed, ConstRows addend, Rows out) const override {
    if (!sums_) return functions_->run(data_, rows, q, packed, addend, out);
    constexpr int64_t step = 128;
    for (int64_t row = 0; row < rows; row += step) {
      const int64_t count = least(step, rows - row);
      void* sums = thread_scratch(Scratch::accumulators, count * data_.value_depth * 4);
      const ConstRows addend_rows{data_.has_addend ? row_of(addend, NumberType::s32, row) : nullptr, addend.row_stride};
      functions_->run(data_, count, {row_of(q, data_.query_type, row), q.row_stride}, packed, addend_rows,
                      {sums, data_.value_depth});
      finish_portable(epilogue_.data(), NumberType::s32, count, {sums, data_.value_depth}, {},
                      {row_of(out, epilogue_.data().output_type, row), out.row_stride});
    }
  }

 private:
  std::optional<Requantization> score_;
  AlignedArray<int16_t> table_;
  EpilogueConstants epilogue_;
  std::optional<EpilogueConstants> sums_;
  const AttentionFunctions* functions_;
  AttentionData data_{};
};

}  // namespace
}  // namespace detail

std::unique_ptr<const Attention> Kernels::attention(const AttentionSpec& spec) const {
  return std::make_unique<detail::AttentionKernel>(spec, detail::instruction_set(isa), detail::row_functions(isa));
}

}  // namespace fullint
