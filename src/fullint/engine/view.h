// Views: where a tensor's elements lie. Slices, permutations and most reshapes only change a view.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "program.h"

namespace fullint {

// Memory of one image under way.
struct Memory {
  std::byte* arena;
  const std::uint8_t* pixels;
};

// A piece of memory that views share: a constant's bytes, the pixels, or a place in the arena,
// which the arena planner chooses once all steps are known.
struct Buffer {
  enum class Place { arena, pixels, constant };
  Place place = Place::arena;
  std::size_t size = 0;
  std::size_t offset = 0;
  std::vector<std::byte> bytes;
};

struct View {
  std::shared_ptr<Buffer> buffer;
  NumberType type = NumberType::u8;
  Shape shape;
  Shape strides;  // in elements; 0 along a broadcast axis
  std::int64_t offset = 0;

  std::int64_t rank() const { return static_cast<std::int64_t>(shape.size()); }
  std::int64_t row_length() const { return shape.empty() ? 1 : shape.back(); }
  std::int64_t row_stride() const { return shape.empty() ? 1 : strides.back(); }
  std::int64_t rows() const { return element_count(shape) / row_length(); }
  bool is_contiguous() const;
  bool has_contiguous_rows() const { return row_length() == 1 || row_stride() == 1; }
  // First byte of the buffer behind all elements.
  std::int64_t end() const;

  const std::byte* read(const Memory& memory) const;
  std::byte* write(const Memory& memory) const;
};

Shape contiguous_strides(const Shape& shape);
View contiguous_view(std::shared_ptr<Buffer> buffer, NumberType type, const Shape& shape);

View permuted(const View& view, const Shape& dims);
View sliced(const View& view, std::int64_t dim, std::int64_t start, std::int64_t stop);
// The same elements in the same order under another shape, if strides can say it.
std::optional<View> reshaped(const View& view, const Shape& shape);
// Whether two views of one shape show the same memory.
bool is_same(const View& a, const View& b);
// Axes of size 1, and missing ones in front, repeated to `shape`; throws if the shapes do not fit.
View broadcasted(const View& view, const Shape& shape);

// Element offset of the first element of every row (along the last axis), in order.
class RowOffsets {
 public:
  RowOffsets() = default;
  explicit RowOffsets(const View& view);
  std::int64_t operator[](std::int64_t row) const { return table_.empty() ? base_ + row * stride_ : table_[row]; }
  // The constant distance between rows; none if they are not evenly spaced.
  std::optional<std::int64_t> stride() const;

 private:
  std::int64_t base_ = 0;
  std::int64_t stride_ = 0;
  std::vector<std::int64_t> table_;
};

}  // namespace fullint
