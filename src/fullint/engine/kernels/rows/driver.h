// Rows of any number type through kernels that work on int32 in place.
#pragma once

#include "data.h"
#include "scratch.h"

namespace fullint::detail {
namespace {

template <typename Number>
void widen_row(const void* from, int64_t columns, int32_t* to) {
  for (int64_t i = 0; i < columns; ++i) to[i] = static_cast<const Number*>(from)[i];
}

template <typename Number>
void narrow_row(const int32_t* from, int64_t columns, void* to) {
  for (int64_t i = 0; i < columns; ++i) static_cast<Number*>(to)[i] = static_cast<Number>(from[i]);
}

using WidenRow = void (*)(const void*, int64_t, int32_t*);
using NarrowRow = void (*)(const int32_t*, int64_t, void*);
constexpr WidenRow widen_row_of[] = {widen_row<uint8_t>, widen_row<int8_t>, widen_row<int16_t>, widen_row<int32_t>};
constexpr NarrowRow narrow_row_of[] = {narrow_row<uint8_t>, narrow_row<int8_t>, narrow_row<int16_t>, narrow_row<int32_t>};

// change(values): `columns` numbers of a row, to be replaced by its results.
template <typename Change>
void for_each_row(const RowTypes& types, int64_t rows, const ConstRows& x, const Rows& out, const Change& change) {
  const WidenRow widen = widen_row_of[static_cast<int>(types.input)];
  const NarrowRow narrow = narrow_row_of[static_cast<int>(types.output)];
  auto* values = static_cast<int32_t*>(thread_scratch(Scratch::row, types.columns * 4));
  for (int64_t row = 0; row < rows; ++row) {
    widen(static_cast<const char*>(x.data) + row * x.row_stride * size_of(types.input), types.columns, values);
    change(values);
    narrow(values, types.columns, static_cast<char*>(out.data) + row * out.row_stride * size_of(types.output));
  }
}

}  // namespace
}  // namespace fullint::detail
