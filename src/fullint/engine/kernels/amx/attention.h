// The usual attention, exponentials of heads of up to 64 columns, with AMX from end to end.
#pragma once

#include "data.h"

namespace fullint::detail {

bool suits_attention_amx(const AttentionData& data);
// `packed` in KeyOrder::bytes, see avx512vnni/attention.h.
void attention_run_amx(const AttentionData& data, int64_t rows, const ConstRows& q, const void* packed, const ConstRows& addend,
                       const Rows& out);

}  // namespace fullint::detail
