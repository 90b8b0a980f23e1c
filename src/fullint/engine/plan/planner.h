// Turns a program into steps, operation by operation.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "fusion.h"
#include "plan.h"
#include "views.h"

namespace fullint {

class Planner {
 public:
  Planner(const Program& program, const Kernels& kernels)
      : program_(program), kernels_(kernels), uses_(program), views_(program, uses_) {}

  Plan plan();

 private:
  void find_groups();
  void emit(const Operation& operation);
  void emit_layout(const Operation& operation);
  void emit_reshape(const Operation& operation);
  bool only_rows_are_read(const Operation& reshape) const;
  void emit_concat(const Operation& operation);
  bool emit_with_kernel(const Operation& operation);
  void emit_linear(const LinearGroup& group);
  void emit_attention(const AttentionGroup& group);

  const Operation& operation(int index) const { return program_.operations[index]; }
  const Tensor& tensor(int index) const { return program_.tensors[index]; }
  void add(std::unique_ptr<Step> step) { plan_.steps.push_back(std::move(step)); }

  // A tensor under its own shape.
  View read(int tensor_index);
  std::vector<View> read_first(const Operation& operation, std::size_t inputs);
  // A tensor's rows, in order; copied together if a kernel could not read them well.
  View read_rows(int tensor_index, std::int64_t shortest_run = 1);
  // The same of an operand that broadcasts to `shape`.
  View read_broadcast_rows(int tensor_index, const Shape& shape, std::int64_t shortest_run = 1);

  const Program& program_;
  const Kernels& kernels_;
  Uses uses_;
  TensorViews views_;
  std::vector<bool> is_fused_;
  std::map<int, LinearGroup> linear_groups_;  // by the last operation
  std::map<int, AttentionGroup> attention_groups_;
  Plan plan_;
  std::int64_t weights_since_release_ = 0;
};

}  // namespace fullint
