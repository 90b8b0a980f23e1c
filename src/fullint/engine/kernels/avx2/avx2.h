// The AVX2 kernels.
#pragma once

#include "data.h"

namespace fullint::detail {

void linear_avx2(const LinearData&, int64_t rows, const ConstRows& x, const ConstRows& second, const Rows& out);
void finish_avx2(const EpilogueData&, NumberType x_type, int64_t rows, const ConstRows& x, const ConstRows& second,
                 const Rows& out);
void word_lookup_avx2(const WordLookupData&, int64_t rows, const ConstRows& x, const Rows& out);
void layer_norm_avx2(const LayerNormData&, int64_t rows, const ConstRows& x, const Rows& out);
extern const AttentionFunctions attention_avx2;

// out (rows, 32) = left (rows, 2 * pairs) times right (pairs, 32 in tile order, 2), all int16: exact for bytes, whose
// products of pairs would saturate in the instruction that multiplies bytes.
void multiply_words_avx2(int64_t rows, const int16_t* left, int64_t left_stride, const int16_t* right, int64_t pairs,
                         int32_t* out, int64_t out_stride);

}  // namespace fullint::detail
