#pragma once

#include "../steps/attention.h"
#include "fusion.h"

namespace fullint {

// Kernels and addends of every head of an attention; the views are left to the planner.
AttentionPlan attention_kernels(const Program& program, const AttentionGroup& group, const Kernels& kernels);

}  // namespace fullint
