// The AVX-512 kernels, which the AMX set shares.
#pragma once

#include "data.h"

namespace fullint::detail {

void linear_avx512(const LinearData&, int64_t rows, const ConstRows& x, const ConstRows& second, const Rows& out);
void finish_avx512(const EpilogueData&, NumberType x_type, int64_t rows, const ConstRows& x, const ConstRows& second,
                   const Rows& out);
void lookup_avx512(const uint8_t* table, int64_t columns, int64_t rows, const ConstRows& x, const Rows& out);
void word_lookup_avx512(const WordLookupData&, int64_t rows, const ConstRows& x, const Rows& out);
void layer_norm_avx512(const LayerNormData&, int64_t rows, const ConstRows& x, const Rows& out);
extern const AttentionFunctions attention_avx512;

}  // namespace fullint::detail
