// The vector kernels of each instruction set. Their preconditions are the factories' business (kernels.cpp).
#pragma once

#include "data.h"

namespace fullint::detail {

struct InstructionSet {
  LinearFunction linear;
  // Bit i of a signed input is stored offset by 128 for unsigned-only multipliers; the bias then makes up for it.
  bool linear_offsets_signed_input;
  EpilogueFunction finish;  // elementwise: requantize, rescaled_add
  LayerNormFunction layer_norm;
  LookupFunction lookup;
  WordLookupFunction word_lookup;
  const AttentionFunctions* attention;
};

extern const InstructionSet instruction_set_avx2;
extern const InstructionSet instruction_set_avx512vnni;
extern const InstructionSet instruction_set_amx;

extern const RowFunctions row_functions_portable;
extern const RowFunctions row_functions_avx2;
extern const RowFunctions row_functions_avx512vnni;

}  // namespace fullint::detail
