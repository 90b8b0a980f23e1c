#include "avx2/avx2.h"
#include "instruction_sets.h"

namespace fullint::detail {

const InstructionSet instruction_set_avx2{linear_avx2, false, finish_avx2, layer_norm_avx2, nullptr, word_lookup_avx2, &attention_avx2};

}  // namespace fullint::detail
