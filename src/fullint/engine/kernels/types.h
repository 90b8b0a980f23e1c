// Matrices in memory.
#pragma once

#include <cstdint>

namespace fullint {

enum class NumberType : uint8_t { u8, s8, s16, s32 };

constexpr int64_t size_of(NumberType type) {
  return type == NumberType::s32 ? 4 : type == NumberType::s16 ? 2 : 1;
}

// Row i starts `row_stride` elements (not bytes) after row i - 1; elements of a row are adjacent. The element type and the
// number of columns are the kernel's. Row stride 0 repeats one row (a broadcast operand).
// Nothing beyond the last element of a row is ever read or written.
struct ConstRows {
  const void* data = nullptr;
  int64_t row_stride = 0;
};
struct Rows {
  void* data = nullptr;
  int64_t row_stride = 0;
};

// Of rows that go through a kernel.
struct RowTypes {
  int64_t columns;
  NumberType input, output;
};

enum class AttentionKind : uint8_t {
  exponentials,  // exponentials, weighted_average
  softmax,       // softmax, matmul (zero_a = 0)
  log2_softmax,  // log2_softmax, shift_matmul
  table_softmax,  // table_softmax, matmul (zero_a = 0)
  row_softmax,    // any of row_operations.h, matmul (zero_a = 0) or, of powers, shift_matmul
};

}  // namespace fullint
