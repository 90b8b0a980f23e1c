#include "instruction_sets.h"

namespace fullint::detail {

const InstructionSet instruction_set_avx2{nullptr, false, nullptr, nullptr, nullptr, nullptr};

}  // namespace fullint::detail
