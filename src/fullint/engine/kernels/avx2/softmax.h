// One row of scores to attention weights, AVX2, 16 at a time in 16-bit lanes.
#pragma once

#include "data.h"

namespace fullint::detail {

// Scores: panels of 32 in tile order, INT32_MIN after the last key. `weights`: int16, panels of 32 in natural order, and for
// weights in two parts as many again: high parts (256 times) first, then low parts. `distances`: room for a row of words.
// The scores may be changed. Returns the sum of the weights.
int64_t softmax_row_avx2(const AttentionData& data, int32_t* scores, int16_t* weights, uint16_t* distances);

// Whether weights, up to 2^15 themselves, are in two parts.
static inline bool has_two_parts(const AttentionData& data) {
  return data.two_byte_weights && data.kind != AttentionKind::table_softmax;
}

}  // namespace fullint::detail
