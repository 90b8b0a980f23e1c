#include "kernel_step.h"

#include <algorithm>
#include <stdexcept>

#include "../rows.h"

namespace fullint {

namespace {

// Rows that are evenly spaced in every operand: one call of the kernel.
struct Run {
  std::int64_t first = 0, count = 0;
  std::int64_t x_stride = 0, second_stride = 0, out_stride = 0;
};

class KernelStep final : public Step {
 public:
  KernelStep(const std::string& kind, std::unique_ptr<const RowKernel> kernel, const View& x,
             const std::optional<View>& second, const View& output, std::int64_t operations)
      : Step(kind, second ? std::vector<View>{x, *second} : std::vector<View>{x}, output),
        kernel_(std::move(kernel)),
        x_(x),
        out_(output),
        rows_(output.rows()),
        operations_(operations) {
    if (x_.view().rows() != units() || (second && second->rows() != units()))
      throw std::invalid_argument(kind + ": rows do not fit");
    if (second) second_ = RowView(*second);
    find_runs();
  }

  std::int64_t units() const override { return rows_; }
  std::int64_t granularity() const override { return 16; }
  std::int64_t operations() const override { return operations_ / out_.view().rows() * rows_; }
  std::size_t held_bytes() const override { return kernel_->bytes(); }

  void leave_out_from(std::int64_t end) override { rows_ = std::max<std::int64_t>(out_.rows_before(end), 1); }
  std::int64_t reads_to(std::size_t input) const override { return (input == 0 ? x_ : *second_).end_of(rows_); }

  void run(const Memory& memory, std::byte*, std::int64_t begin, std::int64_t end) const override {
    for (const Run& run : runs_) {
      const std::int64_t first = std::max(begin, run.first);
      const std::int64_t last = std::min(end, run.first + run.count);
      if (first >= last) continue;
      ConstRows second;
      if (second_) second = {second_->row(memory, first), run.second_stride};
      kernel_->run(last - first, {x_.row(memory, first), run.x_stride}, second,
                   {out_.row_to_write(memory, first), run.out_stride});
    }
  }

 private:
  void find_runs() {
    const auto step = [](const RowView& view, std::int64_t row) {
      return view.offsets()[row + 1] - view.offsets()[row];
    };
    const std::int64_t rows = units();
    for (std::int64_t row = 0; row < rows;) {
      Run run{row, 1};
      if (row + 1 < rows) {
        run.x_stride = step(x_, row);
        run.second_stride = second_ ? step(*second_, row) : 0;
        run.out_stride = step(out_, row);
      }
      while (row + run.count < rows && step(x_, row + run.count - 1) == run.x_stride &&
             (!second_ || step(*second_, row + run.count - 1) == run.second_stride) &&
             step(out_, row + run.count - 1) == run.out_stride) {
        ++run.count;
      }
      row += run.count;
      runs_.push_back(run);
    }
  }

  std::unique_ptr<const RowKernel> kernel_;
  RowView x_;
  std::optional<RowView> second_;
  RowView out_;
  std::int64_t rows_;  // that are computed: all, or those in front that somebody reads
  std::int64_t operations_;
  std::vector<Run> runs_;
};

}  // namespace

bool suits_row_kernel(const View& view, std::int64_t shortest_run) {
  if (!view.has_contiguous_rows()) return false;
  if (shortest_run <= 1) return true;
  const RowOffsets offsets(view);
  if (offsets.stride()) return true;
  const std::int64_t rows = view.rows();
  std::int64_t runs = 1, stride = offsets[1] - offsets[0];
  for (std::int64_t row = 1; row + 1 < rows; ++row) {
    const std::int64_t next = offsets[row + 1] - offsets[row];
    if (next != stride) {
      ++runs;
      ++row;
      stride = row + 1 < rows ? offsets[row + 1] - offsets[row] : 0;
    }
  }
  return runs * shortest_run <= rows;
}

std::unique_ptr<Step> make_kernel_step(const std::string& kind, std::unique_ptr<const RowKernel> kernel, const View& x,
                                       const std::optional<View>& second, const View& output, std::int64_t operations) {
  return std::make_unique<KernelStep>(kind, std::move(kernel), x, second, output, operations);
}

}  // namespace fullint
