// Attention of many heads, from queries, keys and values to the requantized output.
#pragma once

#include <memory>
#include <vector>

#include "../kernels/kernels.h"
#include "../step.h"

namespace fullint {

// `matrices` heads (windows x heads), in the order of the views' leading axes.
struct AttentionPlan {
  View query;                                                             // (..., tokens, depth)
  View key;                                                               // (..., keys, depth)
  View value;                                                             // (..., keys, value depth)
  View output;                                                            // (..., tokens, value depth)
  std::vector<std::shared_ptr<const Attention>> kernels;                  // one a matrix
  std::vector<std::shared_ptr<const std::vector<std::int32_t>>> addends;  // one a matrix, or none
};

// One step, or two where heads are few: packing keys and values, then the rows of all heads, so
// that threads can share a head.
std::vector<std::unique_ptr<Step>> make_attention_steps(AttentionPlan plan);

}  // namespace fullint
