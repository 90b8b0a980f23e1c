#include "avx512vnni/avx512.h"
#include "instruction_sets.h"

namespace fullint::detail {

const InstructionSet instruction_set_avx512vnni{linear_avx512, true, finish_avx512, layer_norm_avx512, lookup_avx512, word_lookup_avx512, &attention_avx512};

}  // namespace fullint::detail
