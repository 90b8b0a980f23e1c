#include "table_softmax.h"

#include <algorithm>
#include <stdexcept>

#include "../rows.h"
#include "elementwise.h"

namespace fullint {

namespace {

constexpr std::size_t kInputs = 4;

class TableSoftmaxStep final : public Step {
 public:
  TableSoftmaxStep(const std::vector<View>& inputs, const Tensor& table, const View& output)
      : Step("table_softmax", inputs, output), out_(output) {
    const Shape& shape = output.shape;
    const std::int64_t heads = shape.size() < 3 ? 1 : shape[shape.size() - 3];
    if (shape.size() < 2 || !table.is_constant() || table.shape.size() != 2 ||
        (table.shape[0] != 1 && table.shape[0] != heads)) {
      throw std::invalid_argument("table_softmax: shapes do not fit");
    }
    for (const View& input : inputs) in_.emplace_back(broadcasted(input, shape));
    rows_ = shape[shape.size() - 2];
    tables_ = table.shape[0];
    entries_ = table.shape[1];
    levels_.resize(element_count(table.shape));
    load_row(static_cast<const std::byte*>(table.data), table.type, 0, 1, tables_ * entries_, levels_.data());
  }

  std::int64_t units() const override { return out_.view().rows(); }
  std::size_t scratch_bytes() const override { return (kInputs + 1) * out_.length() * sizeof(std::int32_t); }
  std::size_t held_bytes() const override { return levels_.size() * sizeof(std::int32_t); }

  void run(const Memory& memory, std::byte* scratch, std::int64_t begin, std::int64_t end) const override {
    const std::int64_t count = out_.length();
    auto* values = reinterpret_cast<std::int32_t*>(scratch);
    const std::int32_t* inputs[kInputs];
    for (std::size_t i = 0; i < kInputs; ++i) inputs[i] = values + i * count;
    std::int32_t* result = values + kInputs * count;
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::size_t i = 0; i < kInputs; ++i) in_[i].load(memory, row, values + i * count);
      softmax_logarithms(inputs, count, result);
      const std::int32_t* table = levels_.data() + row / rows_ % tables_ * entries_;
      for (std::int64_t i = 0; i < count; ++i) result[i] = table[std::min<std::int64_t>(result[i], entries_ - 1)];
      out_.store(memory, row, result);
    }
  }

 private:
  std::vector<RowView> in_;
  RowView out_;
  std::vector<std::int32_t> levels_;
  std::int64_t rows_ = 1, tables_ = 1, entries_ = 1;
};

}  // namespace

std::unique_ptr<Step> make_table_softmax_step(const std::vector<View>& inputs, const Tensor& table, const View& output) {
  return std::make_unique<TableSoftmaxStep>(inputs, table, output);
}

}  // namespace fullint
