// Which vector kernels an instruction set has; nullptr for the portable ones.
#pragma once

#include "instruction_sets.h"
#include "kernels.h"

namespace fullint::detail {

const InstructionSet* instruction_set(Isa isa);

}  // namespace fullint::detail
