// Weights of a linear layer as kernels keep them: one byte each, or half of one where each row, together with zero, spans
// at most 15, whatever its zero point. A nibble is a weight less its row's offset.
#pragma once

#include <cstdint>

#include "aligned.h"
#include "kernels.h"

namespace fullint::detail {

struct PackedWeights {
  bool four_bit = false;
  AlignedArray<uint8_t> values;
  AlignedArray<int8_t> offsets;  // of 4-bit weights
  size_t bytes() const { return values.bytes() + offsets.bytes(); }
};

// For vector kernels, s8 only: panels of 32 outputs and blocks of 64 inputs (avx512vnni/weights.h), filled up with zeros.
PackedWeights pack_panels(const LinearSpec& spec);

// For portable code: in their own order, of any type. Nibbles of a row start at a byte, the earlier one in its low half.
PackedWeights pack_rows(const LinearSpec& spec);

}  // namespace fullint::detail
