#include "products.h"

#include <algorithm>
#include <functional>
#include <stdexcept>

#include "../kernels/fixed_point.h"
#include "../rows.h"

namespace fullint {

namespace {

// What distinguishes the products of two computed tensors: how the elements of a row of the left
// operand weigh, the zero point of the right one, and what becomes of the sums.
struct ProductRule {
  std::function<void(std::int32_t* weights, std::int64_t count)> weigh;
  std::function<void(const std::int32_t* weights, std::int64_t depth, std::int32_t* sums, std::int64_t width)> finish;
  std::int32_t zero_b = 0;
};

ProductRule product_rule(const Operation& operation) {
  ProductRule rule;
  if (operation.kind == "matmul") {
    const auto zero_a = operation.attribute("zero_a");
    rule.zero_b = static_cast<std::int32_t>(operation.attribute("zero_b"));
    rule.weigh = [zero_a](std::int32_t* weights, std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i) {
        weights[i] = static_cast<std::int32_t>(weights[i] - zero_a);
      }
    };
  } else if (operation.kind == "shift_matmul") {
    rule.zero_b = static_cast<std::int32_t>(operation.attribute("zero_b"));
    rule.weigh = [](std::int32_t* weights, std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i) weights[i] = 1 << (15 - weights[i]);
    };
  } else {
    rule.zero_b = static_cast<std::int32_t>(operation.attribute("zero_v"));
    const auto value_bits = static_cast<std::int32_t>(operation.attribute("value_bits"));
    const auto fraction_bits = static_cast<std::int32_t>(operation.attribute("fraction_bits"));
    rule.finish = [=](const std::int32_t* weights, std::int64_t depth, std::int32_t* sums, std::int64_t width) {
      std::int64_t row_sum = 0;
      for (std::int64_t i = 0; i < depth; ++i) row_sum += weights[i];
      const auto factor = detail::average_factor(row_sum, value_bits, fraction_bits);
      for (std::int64_t i = 0; i < width; ++i) {
        sums[i] = static_cast<std::int32_t>(
            detail::requantize(sums[i], factor.pre_shift, factor.multiplier, factor.shift, 16));
      }
    };
  }
  return rule;
}

class MatmulStep final : public Step {
 public:
  MatmulStep(const Operation& operation, const View& a, const View& b, const View& output)
      : Step(operation.kind, {a, b}, output), rule_(product_rule(operation)), a_(a), b_(b), out_(output) {
    const std::int64_t rank = a.rank();
    if (rank < 2 || b.rank() != rank || output.rank() != rank) {
      throw std::invalid_argument("matmul: not matrices");
    }
    depth_ = a.shape[rank - 1];
    height_ = a.shape[rank - 2];
    width_ = b.shape[rank - 1];
    const std::int64_t matrices = a.rows() / height_;
    if (b.shape[rank - 2] != depth_ || b.rows() != matrices * depth_ || output.rows() != matrices * height_ ||
        output.row_length() != width_) {
      throw std::invalid_argument("matmul: shapes do not fit");
    }
  }

  std::int64_t units() const override { return out_.view().rows(); }
  std::size_t scratch_bytes() const override { return (depth_ + 2 * width_) * sizeof(std::int32_t); }
  std::int64_t operations() const override { return 2 * units() * depth_ * width_; }

  void run(const Memory& memory, std::byte* scratch, std::int64_t begin, std::int64_t end) const override {
    auto* weights = reinterpret_cast<std::int32_t*>(scratch);
    std::int32_t* values = weights + depth_;
    std::int32_t* sums = values + width_;
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t first_row_of_b = row / height_ * depth_;
      a_.load(memory, row, weights);
      if (rule_.weigh) rule_.weigh(weights, depth_);
      std::fill(sums, sums + width_, 0);
      for (std::int64_t k = 0; k < depth_; ++k) {
        b_.load(memory, first_row_of_b + k, values);
        for (std::int64_t i = 0; i < width_; ++i) {
          sums[i] += weights[k] * (values[i] - rule_.zero_b);
        }
      }
      if (rule_.finish) rule_.finish(weights, depth_, sums, width_);
      out_.store(memory, row, sums);
    }
  }

 private:
  ProductRule rule_;
  RowView a_, b_, out_;
  std::int64_t depth_ = 0, height_ = 0, width_ = 0;
};

}  // namespace

std::unique_ptr<Step> make_matmul_step(const Operation& operation, const View& a, const View& b, const View& output) {
  return std::make_unique<MatmulStep>(operation, a, b, output);
}

}  // namespace fullint
