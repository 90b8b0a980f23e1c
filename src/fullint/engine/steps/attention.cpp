#include "attention.h"

#include <algorithm>
#include <stdexcept>

#include "../rows.h"

namespace fullint {

namespace {

constexpr std::int64_t kManyHeads = 32;
constexpr std::int64_t kRowsAtOnce = 16;

// First element of every matrix of a stack, and the distance of its rows.
class MatrixView {
 public:
  MatrixView() = default;
  explicit MatrixView(View view) : view_(std::move(view)) {
    View first_columns = view_;
    first_columns.shape.pop_back();
    first_columns.strides.pop_back();
    offsets_ = RowOffsets(first_columns);
    row_stride_ = view_.strides[view_.strides.size() - 2];
  }
  ConstRows read(const Memory& memory, std::int64_t matrix, std::int64_t row) const {
    return {view_.read(memory) + position(matrix, row), row_stride_};
  }
  Rows write(const Memory& memory, std::int64_t matrix, std::int64_t row) const {
    return {view_.write(memory) + position(matrix, row), row_stride_};
  }
  // The least number of rows of each matrix in front that have all elements before byte `end` of the buffer among them.
  std::int64_t rows_before(std::int64_t end) const {
    std::int64_t rows = 0;
    for (std::int64_t matrix = 0; matrix < matrices(); ++matrix) {
      std::int64_t here = height();
      while (here > rows && start() + position(matrix, here - 1) >= end) --here;
      rows = here;
    }
    return rows;
  }
  // First byte of the buffer behind the first `rows` rows of each matrix.
  std::int64_t end_of(std::int64_t rows) const {
    std::int64_t last = 0;
    for (std::int64_t matrix = 0; matrix < matrices(); ++matrix) last = std::max(last, position(matrix, rows - 1));
    return start() + last + view_.row_length() * size_of(view_.type);
  }

 private:
  std::int64_t height() const { return view_.shape[view_.rank() - 2]; }
  std::int64_t matrices() const { return view_.rows() / height(); }
  std::int64_t start() const { return view_.offset * size_of(view_.type); }
  std::int64_t position(std::int64_t matrix, std::int64_t row) const {
    return (offsets_[matrix] + row * row_stride_) * size_of(view_.type);
  }
  View view_;
  RowOffsets offsets_;
  std::int64_t row_stride_ = 0;
};

struct Heads {
  explicit Heads(AttentionPlan attention_plan)
      : plan(std::move(attention_plan)),
        query(plan.query),
        key(plan.key),
        value(plan.value),
        output(plan.output),
        count(static_cast<std::int64_t>(plan.kernels.size())),
        tokens(plan.query.shape[plan.query.rank() - 2]),
        keys(plan.key.shape[plan.key.rank() - 2]) {
    check_shapes();
    for (const auto& kernel : plan.kernels) {
      packed_bytes = std::max(packed_bytes, (kernel->packed_bytes() + 63) / 64 * 64);
    }
  }

  void check_shapes() const {
    const auto is = [this](const View& view, std::int64_t rows, std::int64_t columns) {
      return view.rows() == count * rows && view.shape[view.rank() - 2] == rows && view.row_length() == columns &&
             view.has_contiguous_rows();
    };
    const std::int64_t depth = plan.query.row_length(), width = plan.value.row_length();
    if (!is(plan.query, tokens, depth) || !is(plan.key, keys, depth) || !is(plan.value, keys, width) ||
        !is(plan.output, tokens, width)) {
      throw std::invalid_argument("attention: shapes do not fit");
    }
  }

  void pack(const Memory& memory, std::int64_t head, std::byte* packed) const {
    plan.kernels[head]->pack(key.read(memory, head, 0), value.read(memory, head, 0), packed);
  }

  void attend(const Memory& memory, std::int64_t head, std::int64_t first, std::int64_t last,
              const std::byte* packed) const {
    ConstRows addend;
    if (!plan.addends.empty()) addend = {plan.addends[head]->data() + first * keys, keys};
    plan.kernels[head]->run(last - first, query.read(memory, head, first), packed, addend,
                            output.write(memory, head, first));
  }

  std::int64_t operations() const {
    return 2 * count * tokens * keys * (plan.query.row_length() + plan.value.row_length());
  }

  AttentionPlan plan;
  MatrixView query, key, value, output;
  std::int64_t count, tokens, keys;
  std::size_t packed_bytes = 0;
};

// A head a unit: packed and used at once, in the thread's own memory.
class WholeHeadsStep final : public Step {
 public:
  explicit WholeHeadsStep(std::shared_ptr<const Heads> heads)
      : Step("attention", {heads->plan.query, heads->plan.key, heads->plan.value}, heads->plan.output),
        heads_(std::move(heads)) {}
  std::int64_t units() const override { return heads_->count; }
  std::size_t scratch_bytes() const override { return heads_->packed_bytes; }
  std::int64_t operations() const override { return heads_->operations(); }
  void run(const Memory& memory, std::byte* scratch, std::int64_t begin, std::int64_t end) const override {
    for (std::int64_t head = begin; head < end; ++head) {
      heads_->pack(memory, head, scratch);
      heads_->attend(memory, head, 0, heads_->tokens, scratch);
    }
  }

 private:
  std::shared_ptr<const Heads> heads_;
};

class PackStep final : public Step {
 public:
  PackStep(std::shared_ptr<const Heads> heads, const View& packed)
      : Step("attention packing", {heads->plan.key, heads->plan.value}, packed), heads_(std::move(heads)) {}
  std::int64_t units() const override { return heads_->count; }
  void run(const Memory& memory, std::byte*, std::int64_t begin, std::int64_t end) const override {
    for (std::int64_t head = begin; head < end; ++head) {
      heads_->pack(memory, head, output().write(memory) + head * heads_->packed_bytes);
    }
  }

 private:
  std::shared_ptr<const Heads> heads_;
};

// A unit is a block of rows of a head.
class AttendStep final : public Step {
 public:
  AttendStep(std::shared_ptr<const Heads> heads, const View& packed)
      : Step("attention", {heads->plan.query, packed}, heads->plan.output),
        heads_(std::move(heads)),
        packed_(packed),
        tokens_(heads_->tokens) {}
  std::int64_t units() const override { return heads_->count * blocks(); }
  std::int64_t operations() const override { return heads_->operations() / heads_->tokens * tokens_; }
  void leave_out_from(std::int64_t end) override {
    tokens_ = std::max<std::int64_t>(heads_->output.rows_before(end), 1);
  }
  std::int64_t reads_to(std::size_t input) const override {
    return input == 0 ? heads_->query.end_of(tokens_) : packed_.end();
  }
  void run(const Memory& memory, std::byte*, std::int64_t begin, std::int64_t end) const override {
    for (std::int64_t unit = begin; unit < end;) {
      const std::int64_t head = unit / blocks();
      const std::int64_t stop = std::min(end, (head + 1) * blocks());
      heads_->attend(memory, head, (unit - head * blocks()) * kRowsAtOnce,
                     std::min((stop - head * blocks()) * kRowsAtOnce, tokens_),
                     packed_.read(memory) + head * heads_->packed_bytes);
      unit = stop;
    }
  }

 private:
  std::int64_t blocks() const { return (tokens_ + kRowsAtOnce - 1) / kRowsAtOnce; }

  std::shared_ptr<const Heads> heads_;
  View packed_;
  std::int64_t tokens_;  // that attend: all, or those in front that somebody reads
};

}  // namespace

std::vector<std::unique_ptr<Step>> make_attention_steps(AttentionPlan plan) {
  auto heads = std::make_shared<const Heads>(std::move(plan));
  std::vector<std::unique_ptr<Step>> steps;
  if (heads->count >= kManyHeads) {
    steps.push_back(std::make_unique<WholeHeadsStep>(heads));
    return steps;
  }
  const auto bytes = heads->count * static_cast<std::int64_t>(heads->packed_bytes);
  auto buffer = std::make_shared<Buffer>();
  buffer->size = bytes;
  const View packed = contiguous_view(buffer, NumberType::u8, {bytes});
  steps.push_back(std::make_unique<PackStep>(heads, packed));
  steps.push_back(std::make_unique<AttendStep>(heads, packed));
  return steps;
}

}  // namespace fullint
