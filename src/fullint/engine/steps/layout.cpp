#include "layout.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "../rows.h"

namespace fullint {

namespace {

// Both views with axes of size 1 dropped and neighbouring axes merged wherever both can be walked
// with one stride, so that rows are as long as possible.
std::pair<View, View> merged(const View& from, const View& to) {
  View a = from, b = to;
  a.shape.clear();
  a.strides.clear();
  b.strides.clear();
  for (std::size_t axis = 0; axis < from.shape.size(); ++axis) {
    const std::int64_t size = from.shape[axis];
    if (size == 1) continue;
    if (!a.shape.empty() && a.strides.back() == from.strides[axis] * size &&
        b.strides.back() == to.strides[axis] * size) {
      a.shape.back() *= size;
      a.strides.back() = from.strides[axis];
      b.strides.back() = to.strides[axis];
    } else {
      a.shape.push_back(size);
      a.strides.push_back(from.strides[axis]);
      b.strides.push_back(to.strides[axis]);
    }
  }
  b.shape = a.shape;
  return {a, b};
}

template <typename Element>
void copy_strided(const std::byte* from, std::int64_t from_stride, std::byte* to, std::int64_t to_stride,
                  std::int64_t count) {
  const auto* source = reinterpret_cast<const Element*>(from);
  auto* target = reinterpret_cast<Element*>(to);
  for (std::int64_t i = 0; i < count; ++i) target[i * to_stride] = source[i * from_stride];
}

// memcpy for the short runs that patches and windows consist of.
void copy_bytes(const std::byte* from, std::byte* to, std::int64_t count) {
  constexpr std::int64_t block = 16;
  if (count < block || count > 512) {
    std::memcpy(to, from, count);
    return;
  }
  for (std::int64_t i = 0; i + block <= count; i += block) std::memcpy(to + i, from + i, block);
  std::memcpy(to + count - block, from + count - block, block);
}

class CopyStep final : public Step {
 public:
  CopyStep(const std::string& kind, const std::vector<std::pair<View, View>>& pieces, const View& whole)
      : Step(kind, sources(pieces), whole) {
    for (const auto& [from, to] : pieces) {
      if (from.shape != to.shape) throw std::invalid_argument("copy: shapes differ");
      const auto [a, b] = merged(from, to);
      pieces_.push_back({RowView(a), RowView(b), rows_});
      rows_ += a.rows();
    }
  }

  std::int64_t units() const override { return rows_; }

  std::size_t scratch_bytes() const override {
    std::size_t bytes = 0;
    for (const Piece& piece : pieces_) {
      bytes = std::max(bytes, piece.from.length() * sizeof(std::int32_t));
    }
    return bytes;
  }

  void run(const Memory& memory, std::byte* scratch, std::int64_t begin, std::int64_t end) const override {
    for (const Piece& piece : pieces_) {
      const std::int64_t first = std::max(begin, piece.first_row) - piece.first_row;
      const std::int64_t last = std::min(end - piece.first_row, piece.from.view().rows());
      if (first < last) copy(memory, scratch, piece, first, last);
    }
  }

 private:
  struct Piece {
    RowView from, to;
    std::int64_t first_row;
  };

  static std::vector<View> sources(const std::vector<std::pair<View, View>>& pieces) {
    std::vector<View> views;
    for (const auto& piece : pieces) views.push_back(piece.first);
    return views;
  }

  static void copy(const Memory& memory, std::byte* scratch, const Piece& piece, std::int64_t first,
                   std::int64_t last) {
    const View &from = piece.from.view(), &to = piece.to.view();
    const std::byte* source = from.read(memory);
    std::byte* target = to.write(memory);
    const RowOffsets &from_rows = piece.from.offsets(), &to_rows = piece.to.offsets();
    const std::int64_t count = from.row_length(), size = size_of(from.type);
    if (from.type != to.type) {
      auto* values = reinterpret_cast<std::int32_t*>(scratch);
      for (std::int64_t row = first; row < last; ++row) {
        piece.from.load(memory, row, values);
        piece.to.store(memory, row, values);
      }
    } else if (from.has_contiguous_rows() && to.has_contiguous_rows()) {
      for (std::int64_t row = first; row < last; ++row) {
        copy_bytes(source + from_rows[row] * size, target + to_rows[row] * size, count * size);
      }
    } else {
      const auto strided = size == 1   ? copy_strided<std::uint8_t>
                           : size == 2 ? copy_strided<std::uint16_t>
                                       : copy_strided<std::uint32_t>;
      for (std::int64_t row = first; row < last; ++row) {
        strided(source + from_rows[row] * size, from.row_stride(), target + to_rows[row] * size, to.row_stride(),
                count);
      }
    }
  }

  std::vector<Piece> pieces_;
  std::int64_t rows_ = 0;
};

// Rows of the output, each the sum of `terms_` rows of the input.
class SumStep final : public Step {
 public:
  SumStep(const Operation& operation, const View& x, const View& output)
      : Step("sum", {x}, output), zero_point_(operation.attribute("zero_point")) {
    // Axes in this order: kept but the last, summed, the last kept one.
    const Shape& dims = operation.list("dims");
    Shape order, kept;
    for (std::int64_t axis = 0; axis < x.rank(); ++axis) {
      if (std::find(dims.begin(), dims.end(), axis) == dims.end()) kept.push_back(axis);
    }
    if (!kept.empty()) order.assign(kept.begin(), kept.end() - 1);
    order.insert(order.end(), dims.begin(), dims.end());
    if (!kept.empty()) order.push_back(kept.back());
    View source = permuted(x, order), target = output;
    if (kept.empty()) {
      source.shape.push_back(1);
      source.strides.push_back(1);
    }
    if (element_count(output.shape) % source.row_length() != 0 || output.row_length() != source.row_length()) {
      throw std::invalid_argument("sum: shapes do not fit");
    }
    in_ = RowView(source);
    out_ = RowView(target);
    terms_ = source.rows() / target.rows();
  }

  std::int64_t units() const override { return out_.view().rows(); }
  std::size_t scratch_bytes() const override { return 2 * in_.length() * sizeof(std::int32_t); }

  void run(const Memory& memory, std::byte* scratch, std::int64_t begin, std::int64_t end) const override {
    const std::int64_t count = in_.length();
    auto* values = reinterpret_cast<std::int32_t*>(scratch);
    std::int32_t* sums = values + count;
    for (std::int64_t row = begin; row < end; ++row) {
      std::fill(sums, sums + count, 0);
      for (std::int64_t term = 0; term < terms_; ++term) {
        in_.load(memory, row * terms_ + term, values);
        for (std::int64_t i = 0; i < count; ++i) {
          sums[i] += static_cast<std::int32_t>(values[i] - zero_point_);
        }
      }
      out_.store(memory, row, sums);
    }
  }

 private:
  std::int64_t zero_point_;
  std::int64_t terms_ = 1;
  RowView in_, out_;
};

}  // namespace

std::unique_ptr<Step> make_copy_step(const std::string& kind, std::vector<std::pair<View, View>> pieces,
                                     const View& whole) {
  return std::make_unique<CopyStep>(kind, pieces, whole);
}

std::vector<std::pair<View, View>> roll_pieces(const Operation& operation, const View& x, const View& output) {
  std::vector<std::pair<View, View>> pieces{{x, output}};
  const Shape &shifts = operation.list("shifts"), &dims = operation.list("dims");
  if (shifts.size() != dims.size()) throw std::invalid_argument("roll: shifts do not fit");
  Shape total(x.shape.size(), 0);  // as numpy.roll, shifts along one axis add up
  for (std::size_t i = 0; i < dims.size(); ++i) total.at(dims[i]) += shifts[i];
  for (std::int64_t axis = 0; axis < x.rank(); ++axis) {
    const std::int64_t size = x.shape[axis];
    const std::int64_t shift = ((total[axis] % size) + size) % size;
    if (shift == 0) continue;
    std::vector<std::pair<View, View>> split;
    for (const auto& [from, to] : pieces) {
      split.emplace_back(sliced(from, axis, 0, size - shift), sliced(to, axis, shift, size));
      split.emplace_back(sliced(from, axis, size - shift, size), sliced(to, axis, 0, shift));
    }
    pieces = std::move(split);
  }
  return pieces;
}

std::unique_ptr<Step> make_sum_step(const Operation& operation, const View& x, const View& output) {
  return std::make_unique<SumStep>(operation, x, output);
}

}  // namespace fullint
