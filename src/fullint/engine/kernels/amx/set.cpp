#include "avx512vnni/avx512.h"
#include "instruction_sets.h"

namespace fullint::detail {

void linear_amx(const LinearData&, int64_t rows, const ConstRows& x, const ConstRows& second, const Rows& out);
extern const AttentionFunctions attention_amx;

const InstructionSet instruction_set_amx{linear_amx, false, finish_avx512, layer_norm_avx512, lookup_avx512, word_lookup_avx512, &attention_amx};

}  // namespace fullint::detail
