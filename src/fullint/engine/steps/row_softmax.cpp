#include "row_softmax.h"

#include <algorithm>

#include "../rows.h"

namespace fullint {

namespace {

class RowSoftmaxStep final : public Step {
 public:
  RowSoftmaxStep(const std::string& kind, const RowSoftmax& softmax, detail::RowSoftmaxFunction function,
                 const std::vector<View>& inputs, const View& output)
      : Step(kind, inputs, output), softmax_(softmax), function_(function), scores_(inputs.at(0)), out_(output) {
    for (std::size_t part = 0; part < 3; ++part) factor_[part] = RowView(broadcasted(inputs.at(part + 1), output.shape));
  }

  std::int64_t units() const override { return out_.view().rows(); }
  std::size_t scratch_bytes() const override { return out_.length() * (sizeof(std::int32_t) + sizeof(std::uint16_t)); }

  void run(const Memory& memory, std::byte* scratch, std::int64_t begin, std::int64_t end) const override {
    auto* scores = reinterpret_cast<std::int32_t*>(scratch);
    auto* results = reinterpret_cast<std::uint16_t*>(scores + out_.length());
    for (std::int64_t row = begin; row < end; ++row) {
      scores_.load(memory, row, scores);
      const ScalarFactor factor{first(memory, 0, row), first(memory, 1, row), first(memory, 2, row)};
      function_(softmax_, factor, out_.length(), scores, results);
      std::copy(results, results + out_.length(), scores);
      out_.store(memory, row, scores);
    }
  }

 private:
  std::int32_t first(const Memory& memory, std::size_t part, std::int64_t row) const {
    const RowView& view = factor_[part];
    std::int32_t value = 0;
    load_row(view.view().read(memory), view.view().type, view.offsets()[row], 1, 1, &value);
    return value;
  }

  RowSoftmax softmax_;
  detail::RowSoftmaxFunction function_;
  RowView scores_, factor_[3], out_;
};

}  // namespace

std::unique_ptr<Step> make_row_softmax_step(const std::string& kind, const RowSoftmax& softmax,
                                            detail::RowSoftmaxFunction function, const std::vector<View>& inputs,
                                            const View& output) {
  return std::make_unique<RowSoftmaxStep>(kind, softmax, function, inputs, output);
}

}  // namespace fullint
