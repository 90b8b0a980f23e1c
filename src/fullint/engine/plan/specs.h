// What an operation asks of a kernel, where a kernel can do it.
#pragma once

#include <optional>
#include <vector>

#include "../kernels/kernels.h"
#include "../program.h"

namespace fullint {

// A constant's values, broadcast to `shape` and read in order.
std::vector<std::int32_t> constant_values(const Tensor& constant, const Shape& shape);

// A constant that broadcasts to `shape` and varies at most along its last axis: one number, or one
// a column. None if it varies elsewhere.
std::optional<std::vector<std::int32_t>> column_values(const Tensor& constant, const Shape& shape);

// A constant that broadcasts to the stack of matrices `shape` and is one number in each of them.
std::optional<std::vector<std::int32_t>> matrix_values(const Tensor& constant, const Shape& shape);

// Of a requantize operation; its factors are empty.
std::optional<Requantization> requantization_grid(const Operation& operation);
std::optional<Requantization> column_requantization(const Program& program, const Operation& operation);
// `swap`: the operation's first operand becomes the second.
std::optional<RescaledAddition> column_addition(const Program& program, const Operation& operation, bool swap);
std::optional<LayerNormSpec> layer_norm_spec(const Program& program, const Operation& operation);

// A lookup of one byte by another as a table indexed by the byte's pattern.
std::optional<std::array<std::uint8_t, 256>> byte_table(const Program& program, const Operation& operation);

// A lookup of numbers of up to 16 bits by others.
std::optional<WordLookupSpec> word_lookup_spec(const Program& program, const Operation& operation);

// Weights as the fast kernels want them; `storage` holds converted ones.
LinearSpec linear_spec(const Program& program, const Operation& operation, std::vector<std::int8_t>& storage);

}  // namespace fullint
