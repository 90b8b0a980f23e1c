#include "row_step.h"

namespace fullint {

namespace {

class RowStep final : public Step {
 public:
  RowStep(const std::string& kind, RowFunction function, const std::vector<View>& inputs, const View& output)
      : Step(kind, inputs, output), function_(std::move(function)), out_(output) {
    for (const View& input : inputs) in_.emplace_back(broadcasted(input, output.shape));
  }

  std::int64_t units() const override { return out_.view().rows(); }

  std::size_t scratch_bytes() const override {
    return (in_.size() + 1) * (out_.length() * sizeof(std::int32_t) + sizeof(void*));
  }

  void run(const Memory& memory, std::byte* scratch, std::int64_t begin, std::int64_t end) const override {
    const std::int64_t count = out_.length();
    auto* rows = reinterpret_cast<const std::int32_t**>(scratch);
    auto* values = reinterpret_cast<std::int32_t*>(rows + in_.size() + 1);
    for (std::size_t i = 0; i < in_.size(); ++i) rows[i] = values + i * count;
    std::int32_t* result = values + in_.size() * count;
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::size_t i = 0; i < in_.size(); ++i) {
        in_[i].load(memory, row, values + i * count);
      }
      function_(rows, count, result);
      out_.store(memory, row, result);
    }
  }

 private:
  RowFunction function_;
  std::vector<RowView> in_;
  RowView out_;
};

}  // namespace

std::unique_ptr<Step> make_row_step(const std::string& kind, RowFunction function, const std::vector<View>& inputs,
                                    const View& output) {
  return std::make_unique<RowStep>(kind, std::move(function), inputs, output);
}

}  // namespace fullint
