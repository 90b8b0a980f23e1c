// add: position embeddings and attention biases onto accumulators.
#include "add.h"

#include "../rows.h"

namespace fullint {

namespace {

template <typename Addend>
void add(const std::byte* a, const std::byte* b, std::byte* out, std::int64_t count) {
  const auto* accumulators = reinterpret_cast<const std::int32_t*>(a);
  const auto* addends = reinterpret_cast<const Addend*>(b);
  auto* sums = reinterpret_cast<std::int32_t*>(out);
  for (std::int64_t i = 0; i < count; ++i) sums[i] = accumulators[i] + addends[i];
}

using AddFunction = void (*)(const std::byte*, const std::byte*, std::byte*, std::int64_t);

AddFunction find_function(NumberType addend) {
  switch (addend) {
    case NumberType::u8:
      return add<std::uint8_t>;
    case NumberType::s8:
      return add<std::int8_t>;
    case NumberType::s16:
      return add<std::int16_t>;
    case NumberType::s32:
      return add<std::int32_t>;
  }
  return nullptr;
}

class AddStep final : public Step {
 public:
  AddStep(const View& a, const View& b, const View& output)
      : Step("add", {a, b}, output), a_(a), b_(b), out_(output), add_(find_function(b.type)) {}

  std::int64_t units() const override { return out_.view().rows(); }

  void run(const Memory& memory, std::byte*, std::int64_t begin, std::int64_t end) const override {
    for (std::int64_t row = begin; row < end; ++row) {
      add_(a_.row(memory, row), b_.row(memory, row), out_.row_to_write(memory, row), out_.length());
    }
  }

 private:
  RowView a_, b_, out_;
  AddFunction add_;
};

}  // namespace

std::unique_ptr<Step> make_add_step(const View& a, const View& b, const View& output) {
  const bool fits = a.type == NumberType::s32 && output.type == NumberType::s32;
  if (!fits) return nullptr;
  const View wide_a = broadcasted(a, output.shape), wide_b = broadcasted(b, output.shape);
  for (const View& view : {wide_a, wide_b, output}) {
    if (!view.has_contiguous_rows()) return nullptr;
  }
  return std::make_unique<AddStep>(wide_a, wide_b, output);
}

}  // namespace fullint
