// Memory aligned to cache lines.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

#include "large_pages.h"

namespace fullint::detail {

struct AlignedDelete {
  void operator()(void* data) const { ::operator delete(data, std::align_val_t{64}); }
};

// A zeroed array of plain data, 64-byte aligned.
template <typename T>
class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(size_t size) : size_(size), data_(static_cast<T*>(::operator new(bytes(), std::align_val_t{64})), AlignedDelete()) {
    std::memset(static_cast<void*>(data_.get()), 0, bytes());
  }

  // One of a model's constants, which lie together on large pages.
  static AlignedArray constant(size_t size) {
    AlignedArray array;
    array.size_ = size;
    const auto piece = allocate_together(array.bytes());
    array.data_ = {piece, reinterpret_cast<T*>(piece.get())};
    return array;
  }

  T* data() const { return data_.get(); }
  size_t bytes() const { return size_ * sizeof(T); }
  T& operator[](size_t index) const { return data_.get()[index]; }

 private:
  size_t size_ = 0;
  std::shared_ptr<T> data_;
};

}  // namespace fullint::detail
