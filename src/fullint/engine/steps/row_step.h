// Operations that make each row of the output from the same row of every input.
#pragma once

#include <functional>
#include <memory>

#include "../program.h"
#include "../rows.h"
#include "../step.h"

namespace fullint {

// Computes `count` elements of an output row from the input rows, all int32.
using RowFunction = std::function<void(const std::int32_t* const* inputs, std::int64_t count, std::int32_t* out)>;

// The function of an elementwise or rowwise operation; null if it is of another sort.
RowFunction find_row_function(const Operation& operation, const std::vector<Tensor>& tensors);

// Any such operation, on any shapes and strides; inputs broadcast to the output's shape.
std::unique_ptr<Step> make_row_step(const std::string& kind, RowFunction function, const std::vector<View>& inputs,
                                    const View& output);

}  // namespace fullint
