// Kernels from row to row that are written once, as loops which compilers turn into vectors, and compiled for every
// instruction set. FULLINT_SET names the one that a file is being compiled for.
#pragma once

#include "data.h"

namespace fullint::detail::FULLINT_SET {

void e2softmax(const RowSoftmax&, ScalarFactor, int64_t columns, int32_t* scores, uint16_t* results);
void itamax(const RowSoftmax&, ScalarFactor, int64_t columns, int32_t* scores, uint16_t* results);
void shiftmax(const RowSoftmax&, ScalarFactor, int64_t columns, int32_t* scores, uint16_t* results);

void ailayernorm(const RowNormData&, int64_t rows, const ConstRows& x, const Rows& out);
void i_layernorm(const RowNormData&, int64_t rows, const ConstRows& x, const Rows& out);

void ibert_gelu(const RowGelu&, const RowTypes&, int64_t rows, const ConstRows& x, const Rows& out);
void shiftgelu(const RowGelu&, const RowTypes&, int64_t rows, const ConstRows& x, const Rows& out);

}  // namespace fullint::detail::FULLINT_SET
