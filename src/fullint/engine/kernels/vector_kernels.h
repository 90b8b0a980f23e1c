// Which vector kernels an instruction set has; nullptr for the portable ones.
#pragma once

#include "instruction_sets.h"
#include "kernels.h"

namespace fullint::detail {

const InstructionSet* instruction_set(Isa isa);
const RowFunctions& row_functions(Isa isa);

// A linear layer of s16 inputs and s8 weights made of a linear layer of bytes.
std::unique_ptr<const RowKernel> make_wide_linear(const LinearSpec& spec, const Kernels& kernels);

}  // namespace fullint::detail
