// ops/lookup.py for tables of up to 2^16 words: the portable kernel, and what makes them all.
#include <algorithm>

#include "aligned.h"
#include "fixed_point.h"
#include "portable.h"
#include "vector_kernels.h"

namespace fullint {
namespace detail {
namespace {

class WordLookupKernel final : public RowKernel {
 public:
  WordLookupKernel(const WordLookupSpec& spec, const InstructionSet* set)
      : table_(spec.table.size() + 1),
        function_(set != nullptr ? set->word_lookup : word_lookup_portable) {
    std::copy(spec.table.begin(), spec.table.end(), table_.data());
    data_ = {spec.types, spec.offset, table_.data()};
  }
  void run(int64_t rows, ConstRows x, ConstRows, Rows out) const override { function_(data_, rows, x, out); }
  size_t bytes() const override { return table_.bytes(); }

 private:
  AlignedArray<int16_t> table_;
  WordLookupFunction function_;
  WordLookupData data_{};
};

}  // namespace

void word_lookup_portable(const WordLookupData& data, int64_t rows, const ConstRows& x, const Rows& out) {
  const RowTypes& types = data.types;
  for (int64_t row = 0; row < rows; ++row) {
    const void* from = row_of(x, types.input, row);
    void* to = row_of(out, types.output, row);
    for (int64_t column = 0; column < types.columns; ++column)
      store(to, types.output, column, data.table[load(from, types.input, column) - data.offset]);
  }
}

}  // namespace detail

std::unique_ptr<const RowKernel> Kernels::word_lookup(const WordLookupSpec& spec) const {
  return std::make_unique<detail::WordLookupKernel>(spec, detail::instruction_set(isa));
}

}  // namespace fullint
