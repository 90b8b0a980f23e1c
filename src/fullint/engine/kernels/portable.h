// The portable kernels; every instruction set falls back on them.
#pragma once

#include "data.h"

namespace fullint::detail {

// Values of one row, in natural order and without bias, to their codes. Also the elementwise kernels' portable form.
void finish_portable(const EpilogueData&, NumberType x_type, int64_t rows, const ConstRows& x, const ConstRows& second,
                     const Rows& out);
void linear_portable(const LinearData&, int64_t rows, const ConstRows& x, const ConstRows& second, const Rows& out);
void layer_norm_portable(const LayerNormData&, int64_t rows, const ConstRows& x, const Rows& out);
void lookup_portable(const uint8_t* table, int64_t columns, int64_t rows, const ConstRows& x, const Rows& out);
void word_lookup_portable(const WordLookupData&, int64_t rows, const ConstRows& x, const Rows& out);
extern const AttentionFunctions attention_portable;

// One row of scores to -log2(softmax) in steps of 2^-10.
void softmax_logarithms_portable(int64_t columns, const int32_t* scores, int32_t pre_shift, int32_t multiplier, int32_t shift,
                                 int32_t* logarithms);

// One row of scores to u8 codes; scores may be changed. Returns the sum of the codes.
int64_t softmax_portable(AttentionKind kind, int64_t columns, const int32_t* scores, int32_t pre_shift, int32_t multiplier,
                         int32_t shift, int32_t log2_rounding, uint8_t* codes);

}  // namespace fullint::detail
