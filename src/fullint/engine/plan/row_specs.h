// What the operations of kernels/rows ask of their kernels; nothing if an operation is of another sort.
#pragma once

#include <memory>
#include <optional>

#include "../kernels/kernels.h"
#include "../program.h"

namespace fullint {

std::optional<RowSoftmax> row_softmax(const Operation& operation);
std::optional<RowGelu> row_gelu(const Program& program, const Operation& operation);
std::optional<RowNorm> row_norm(const Operation& operation);

// Of a norm or a GELU.
std::unique_ptr<const RowKernel> row_kernel(const Program& program, const Operation& operation, const Kernels& kernels);

}  // namespace fullint
