// Rows of a tensor as int32, whatever type they are stored in.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "view.h"

namespace fullint {

namespace detail {

template <typename Stored>
void widen(const std::byte* base, std::int64_t offset, std::int64_t stride, std::int64_t count, std::int32_t* out) {
  const auto* values = reinterpret_cast<const Stored*>(base) + offset;
  if (stride == 1) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = values[i];
  } else if (stride == 0) {
    const std::int32_t value = values[0];
    for (std::int64_t i = 0; i < count; ++i) out[i] = value;
  } else {
    for (std::int64_t i = 0; i < count; ++i) out[i] = values[i * stride];
  }
}

template <typename Stored>
void narrow(const std::int32_t* values, std::byte* base, std::int64_t offset, std::int64_t stride, std::int64_t count) {
  auto* out = reinterpret_cast<Stored*>(base) + offset;
  for (std::int64_t i = 0; i < count; ++i) out[i * stride] = static_cast<Stored>(values[i]);
}

}  // namespace detail

inline void load_row(const std::byte* base, NumberType type, std::int64_t offset, std::int64_t stride,
                     std::int64_t count, std::int32_t* out) {
  switch (type) {
    case NumberType::u8:
      detail::widen<std::uint8_t>(base, offset, stride, count, out);
      break;
    case NumberType::s8:
      detail::widen<std::int8_t>(base, offset, stride, count, out);
      break;
    case NumberType::s16:
      detail::widen<std::int16_t>(base, offset, stride, count, out);
      break;
    case NumberType::s32:
      detail::widen<std::int32_t>(base, offset, stride, count, out);
      break;
  }
}

inline void store_row(const std::int32_t* values, std::byte* base, NumberType type, std::int64_t offset,
                      std::int64_t stride, std::int64_t count) {
  switch (type) {
    case NumberType::u8:
      detail::narrow<std::uint8_t>(values, base, offset, stride, count);
      break;
    case NumberType::s8:
      detail::narrow<std::int8_t>(values, base, offset, stride, count);
      break;
    case NumberType::s16:
      detail::narrow<std::int16_t>(values, base, offset, stride, count);
      break;
    case NumberType::s32:
      detail::narrow<std::int32_t>(values, base, offset, stride, count);
      break;
  }
}

// A view and the places of its rows, worked out once.
class RowView {
 public:
  RowView() = default;
  explicit RowView(View view) : view_(std::move(view)), offsets_(view_) {}

  const View& view() const { return view_; }
  std::int64_t length() const { return view_.row_length(); }
  const RowOffsets& offsets() const { return offsets_; }
  // The least number of rows in front that have all elements before byte `end` of the buffer among them.
  std::int64_t rows_before(std::int64_t end) const {
    std::int64_t rows = view_.rows();
    while (rows > 0 && (view_.offset + offsets_[rows - 1]) * size_of(view_.type) >= end) --rows;
    return rows;
  }
  // First byte of the buffer behind the first `rows` rows; they have no gaps.
  std::int64_t end_of(std::int64_t rows) const {
    std::int64_t last = 0;
    for (std::int64_t row = 0; row < rows; ++row) last = std::max(last, offsets_[row]);
    return (view_.offset + last + length()) * size_of(view_.type);
  }

  void load(const Memory& memory, std::int64_t row, std::int32_t* out) const {
    load_row(view_.read(memory), view_.type, offsets_[row], view_.row_stride(), length(), out);
  }
  void store(const Memory& memory, std::int64_t row, const std::int32_t* values) const {
    store_row(values, view_.write(memory), view_.type, offsets_[row], view_.row_stride(), length());
  }
  // First element of a row, for rows stored without gaps.
  const std::byte* row(const Memory& memory, std::int64_t index) const {
    return view_.read(memory) + offsets_[index] * size_of(view_.type);
  }
  std::byte* row_to_write(const Memory& memory, std::int64_t index) const {
    return view_.write(memory) + offsets_[index] * size_of(view_.type);
  }

 private:
  View view_;
  RowOffsets offsets_;
};

}  // namespace fullint
