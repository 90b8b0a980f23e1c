// Which operations become one step: found in the program before anything is laid out.
#pragma once

#include <optional>
#include <vector>

#include "../program.h"

namespace fullint {

// Operations (their indices) that one step computes, at the place of the last of them.
struct LinearGroup {
  int linear = -1;
  std::optional<int> requantize, lookup, addition;
  bool addition_is_swapped = false;  // the linear layer's result is the addition's operand b
  int last = -1;
};

struct AttentionGroup {
  int scores = -1;  // the matmul
  std::vector<int> additions;
  std::optional<int> requantize_scores;
  int softmax = -1, product = -1;
  std::optional<int> requantize;
  int last = -1;
  std::vector<int> members;  // all of them, reshapes between them included
};

// Readers of every tensor.
class Uses {
 public:
  explicit Uses(const Program& program);
  // The one operation that reads a tensor once; -1 if there are none or several, or if it is the
  // program's output.
  int only_user(int tensor) const { return only_user_[tensor]; }

 private:
  std::vector<int> only_user_;
};

// Takes no operation that another group has taken: an addition may have two linear layers before it.
LinearGroup match_linear(const Program& program, const Uses& uses, const std::vector<bool>& is_taken, int linear);

// None unless the operations from this matmul on are an attention that the kernels know.
std::optional<AttentionGroup> match_attention(const Program& program, const Uses& uses, int matmul);

}  // namespace fullint
