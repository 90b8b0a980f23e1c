#include "view.h"

#include <algorithm>
#include <stdexcept>

namespace fullint {

bool View::is_contiguous() const {
  std::int64_t expected = 1;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] != 1 && strides[axis] != expected) return false;
    expected *= shape[axis];
  }
  return true;
}

std::int64_t View::end() const {
  std::int64_t last = offset;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) last += (shape[axis] - 1) * strides[axis];
  return (last + 1) * size_of(type);
}

const std::byte* View::read(const Memory& memory) const {
  const std::byte* start = nullptr;
  switch (buffer->place) {
    case Buffer::Place::arena:
      start = memory.arena + buffer->offset;
      break;
    case Buffer::Place::pixels:
      start = reinterpret_cast<const std::byte*>(memory.pixels);
      break;
    case Buffer::Place::constant:
      start = buffer->bytes.data();
      break;
  }
  return start + offset * size_of(type);
}

std::byte* View::write(const Memory& memory) const {
  if (buffer->place != Buffer::Place::arena) {
    throw std::logic_error("a step writes to memory that is only read");
  }
  return memory.arena + buffer->offset + offset * size_of(type);
}

Shape contiguous_strides(const Shape& shape) {
  Shape strides(shape.size());
  std::int64_t stride = 1;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

View contiguous_view(std::shared_ptr<Buffer> buffer, NumberType type, const Shape& shape) {
  return View{std::move(buffer), type, shape, contiguous_strides(shape), 0};
}

View permuted(const View& view, const Shape& dims) {
  if (dims.size() != view.shape.size()) throw std::invalid_argument("permute: wrong axes");
  View result = view;
  std::vector<bool> seen(dims.size(), false);
  for (std::size_t axis = 0; axis < dims.size(); ++axis) {
    const std::int64_t source = dims[axis];
    if (source < 0 || source >= view.rank() || seen[source]) {
      throw std::invalid_argument("permute: wrong axes");
    }
    seen[source] = true;
    result.shape[axis] = view.shape[source];
    result.strides[axis] = view.strides[source];
  }
  return result;
}

View sliced(const View& view, std::int64_t dim, std::int64_t start, std::int64_t stop) {
  if (dim < 0 || dim >= view.rank() || start < 0 || start >= stop || stop > view.shape[dim]) {
    throw std::invalid_argument("slice: not a range of an axis");
  }
  View result = view;
  result.shape[dim] = stop - start;
  result.offset += start * view.strides[dim];
  return result;
}

namespace {

// Axes that can be walked with one stride merged into one; axes of size 1 dropped.
void merge_axes(const View& view, Shape& sizes, Shape& strides) {
  for (std::size_t axis = 0; axis < view.shape.size(); ++axis) {
    if (view.shape[axis] == 1) continue;
    if (!sizes.empty() && strides.back() == view.strides[axis] * view.shape[axis]) {
      sizes.back() *= view.shape[axis];
      strides.back() = view.strides[axis];
    } else {
      sizes.push_back(view.shape[axis]);
      strides.push_back(view.strides[axis]);
    }
  }
}

}  // namespace

std::optional<View> reshaped(const View& view, const Shape& shape) {
  if (element_count(shape) != element_count(view.shape)) {
    throw std::invalid_argument("reshape: another number of elements");
  }
  Shape sizes, strides;
  merge_axes(view, sizes, strides);
  View result = view;
  result.shape = shape;
  result.strides.assign(shape.size(), 0);
  // From the last axis: each new axis takes its share of the merged axis at hand.
  std::size_t merged = sizes.size();
  std::int64_t remaining = 1, stride = 0;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] == 1) continue;
    if (remaining == 1) {
      --merged;
      remaining = sizes[merged];
      stride = strides[merged];
    }
    if (remaining % shape[axis] != 0) return std::nullopt;
    result.strides[axis] = stride;
    stride *= shape[axis];
    remaining /= shape[axis];
  }
  return result;
}

bool is_same(const View& a, const View& b) {
  if (a.buffer != b.buffer || a.offset != b.offset || a.shape != b.shape) return false;
  for (std::size_t axis = 0; axis < a.shape.size(); ++axis) {
    if (a.shape[axis] != 1 && a.strides[axis] != b.strides[axis]) return false;
  }
  return true;
}

View broadcasted(const View& view, const Shape& shape) {
  if (view.shape.size() > shape.size()) throw std::invalid_argument("shapes do not broadcast");
  View result = view;
  const std::size_t missing = shape.size() - view.shape.size();
  result.shape = shape;
  result.strides.assign(shape.size(), 0);
  for (std::size_t axis = 0; axis < view.shape.size(); ++axis) {
    if (view.shape[axis] == shape[missing + axis]) {
      result.strides[missing + axis] = view.strides[axis];
    } else if (view.shape[axis] != 1) {
      throw std::invalid_argument("shapes do not broadcast");
    }
  }
  return result;
}

RowOffsets::RowOffsets(const View& view) : base_(0) {
  Shape sizes(view.shape.begin(), view.shape.end());
  Shape strides(view.strides.begin(), view.strides.end());
  if (!sizes.empty()) {
    sizes.pop_back();
    strides.pop_back();
  }
  View outer = view;
  outer.shape = sizes;
  outer.strides = strides;
  Shape merged_sizes, merged_strides;
  merge_axes(outer, merged_sizes, merged_strides);
  if (merged_sizes.size() <= 1) {
    stride_ = merged_sizes.empty() ? 0 : merged_strides[0];
    return;
  }
  table_.resize(element_count(sizes));
  Shape index(merged_sizes.size(), 0);
  std::int64_t offset = 0;
  for (auto& entry : table_) {
    entry = offset;
    for (std::size_t axis = index.size(); axis-- > 0;) {
      offset += merged_strides[axis];
      if (++index[axis] < merged_sizes[axis]) break;
      offset -= merged_strides[axis] * merged_sizes[axis];
      index[axis] = 0;
    }
  }
}

std::optional<std::int64_t> RowOffsets::stride() const {
  if (table_.empty()) return stride_;
  return std::nullopt;
}

}  // namespace fullint
