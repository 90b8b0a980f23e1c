#pragma once

#include "row_step.h"

namespace fullint {

RowFunction add_rows();
RowFunction requantize_rows(const Operation& operation);
RowFunction rescaled_add_rows(const Operation& operation);
RowFunction lookup_rows(const Operation& operation, const Tensor& x, const Tensor& table);
RowFunction exponentials_rows();
RowFunction softmax_rows();
RowFunction log2_softmax_rows(const Operation& operation);

}  // namespace fullint
