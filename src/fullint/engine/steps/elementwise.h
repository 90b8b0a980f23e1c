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

// scores, pre_shift, multiplier, shift to -log2(softmax) in steps of 2^-10.
void softmax_logarithms(const std::int32_t* const* in, std::int64_t count, std::int32_t* out);

}  // namespace fullint
