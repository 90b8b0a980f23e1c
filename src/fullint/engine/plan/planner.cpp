#include <algorithm>
#include <stdexcept>

#include "../steps/add.h"
#include "../steps/attention.h"
#include "../steps/kernel_step.h"
#include "../steps/layout.h"
#include "../steps/products.h"
#include "../steps/row_softmax.h"
#include "../steps/row_step.h"
#include "../steps/table_softmax.h"
#include "attention_plan.h"
#include "planner.h"
#include "row_specs.h"
#include "specs.h"
#include "tabulate.h"

namespace fullint {

namespace {

// Rows a product needs at a stretch to be worth not copying them together first.
constexpr std::int64_t kShortestRun = 32;

// A model's constants need not all be in memory twice while it is loaded.
constexpr std::int64_t kWeightsUntilRelease = 2 << 20;

}  // namespace

Plan Planner::plan() {
  find_groups();
  for (int index = 0; index < static_cast<int>(program_.operations.size()); ++index) {
    if (const auto group = linear_groups_.find(index); group != linear_groups_.end()) {
      emit_linear(group->second);
    } else if (const auto found = attention_groups_.find(index); found != attention_groups_.end()) {
      emit_attention(found->second);
    } else if (!is_fused_[index]) {
      emit(program_.operations[index]);
    }
  }
  plan_.output = views_[program_.output];
  plan_.pixel_bytes = views_[program_.input].buffer->size;
  leave_out_unread(plan_.steps, plan_.output);
  plan_.arena_bytes = place_buffers(plan_.steps, plan_.output);
  for (const auto& step : plan_.steps) {
    plan_.scratch_bytes = std::max(plan_.scratch_bytes, step->scratch_bytes());
  }
  program_.release();
  return std::move(plan_);
}

void Planner::find_groups() {
  is_fused_.assign(program_.operations.size(), false);
  for (int index = 0; index < static_cast<int>(program_.operations.size()); ++index) {
    if (operation(index).kind == "linear") {
      const LinearGroup group = match_linear(program_, uses_, is_fused_, index);
      is_fused_[group.linear] = true;
      for (const auto& member : {group.requantize, group.lookup, group.addition}) {
        if (member) is_fused_[*member] = true;
      }
      linear_groups_[group.last] = group;
    } else if (operation(index).kind == "matmul" && !is_fused_[index]) {
      if (const auto group = match_attention(program_, uses_, index)) {
        for (const int member : group->members) is_fused_[member] = true;
        attention_groups_[group->last] = *group;
      }
    }
  }
}

View Planner::read(int tensor_index) {
  const View view = views_.read(tensor_index);
  const Shape& shape = tensor(tensor_index).shape;
  if (view.shape == shape) return view;
  const View copy = views_.fresh(view.type, view.shape);
  add(make_copy_step("copy", {{view, copy}}, copy));
  return *reshaped(copy, shape);
}

std::vector<View> Planner::read_first(const Operation& operation, std::size_t inputs) {
  std::vector<View> views;
  for (std::size_t input = 0; input < inputs; ++input) views.push_back(read(operation.inputs.at(input)));
  return views;
}

View Planner::read_rows(int tensor_index, std::int64_t shortest_run) {
  const View view = views_.read(tensor_index);
  if (suits_row_kernel(view, shortest_run)) return view;
  const View copy = views_.fresh(view.type, view.shape);
  add(make_copy_step("copy", {{view, copy}}, copy));
  return copy;
}

View Planner::read_broadcast_rows(int tensor_index, const Shape& shape, std::int64_t shortest_run) {
  if (tensor(tensor_index).shape == shape) return read_rows(tensor_index, shortest_run);
  const View view = broadcasted(read(tensor_index), shape);
  if (suits_row_kernel(view, shortest_run)) return view;
  const View copy = views_.fresh(view.type, shape);
  add(make_copy_step("copy", {{view, copy}}, copy));
  return copy;
}

void Planner::emit(const Operation& operation) {
  static const char* const layouts[] = {"reshape", "permute", "slice", "concat", "roll"};
  if (std::find(std::begin(layouts), std::end(layouts), operation.kind) != std::end(layouts)) {
    emit_layout(operation);
    return;
  }
  if (emit_with_kernel(operation)) return;
  const View output = views_.place(operation.output, Need::shape);
  if (operation.kind == "add") {
    auto step = make_add_step(read(operation.inputs.at(0)), read(operation.inputs.at(1)), output);
    if (step) return add(std::move(step));
  }
  if (const RowFunction function = find_row_function(operation, program_.tensors)) {
    std::vector<View> inputs;
    for (const int input : operation.inputs) {
      const bool is_table = operation.kind == "lookup" && input == operation.inputs[1];
      if (!is_table) inputs.push_back(read(input));
    }
    add(make_row_step(operation.kind, function, inputs, output));
  } else if (const auto softmax = row_softmax(operation)) {
    add(make_row_softmax_step(operation.kind, *softmax, kernels_.row_softmax(softmax->kind), read_first(operation, 4), output));
  } else if (operation.kind == "table_softmax") {
    add(make_table_softmax_step(read_first(operation, 4), tensor(operation.inputs.at(4)), output));
  } else if (operation.kind == "sum") {
    add(make_sum_step(operation, read(operation.inputs.at(0)), output));
  } else if (operation.inputs.size() == 2) {
    add(make_matmul_step(operation, read(operation.inputs[0]), read(operation.inputs[1]), output));
  } else {
    throw std::invalid_argument("the engine does not know the operation '" + operation.kind + "'");
  }
}

bool Planner::emit_with_kernel(const Operation& operation) {
  const Tensor& in = tensor(operation.inputs.at(0));
  const Tensor& out = tensor(operation.output);
  if (in.shape != out.shape || in.shape.empty()) return false;
  std::unique_ptr<const RowKernel> kernel = row_kernel(program_, operation, kernels_);
  std::optional<View> second;
  if (operation.kind == "layer_norm") {
    if (const auto spec = layer_norm_spec(program_, operation)) {
      kernel = kernels_.layer_norm(*spec);
    }
  } else if (operation.kind == "requantize") {
    if (const auto factors = column_requantization(program_, operation)) {
      kernel = kernels_.requantize({out.shape.back(), in.type, out.type, *factors});
    }
  } else if (operation.kind == "lookup") {
    if (const auto table = byte_table(program_, operation)) {
      kernel = kernels_.lookup({out.shape.back(), *table});
    } else if (const auto words = word_lookup_spec(program_, operation)) {
      kernel = kernels_.word_lookup(*words);
    }
  } else if (operation.kind == "rescaled_add") {
    const Tensor& b = tensor(operation.inputs.at(1));
    const auto factors = column_addition(program_, operation, false);
    if (factors && !b.shape.empty() && b.shape.back() == out.shape.back()) {
      kernel = kernels_.rescaled_add({out.shape.back(), in.type, b.type, out.type, *factors});
      second = read_broadcast_rows(operation.inputs[1], out.shape);
    }
  }
  if (!kernel) return false;
  const View x = read_rows(operation.inputs[0]);
  add(make_kernel_step(operation.kind, std::move(kernel), x, second, views_.place(operation.output, Need::rows)));
  return true;
}

void Planner::emit_linear(const LinearGroup& group) {
  const Operation& linear = operation(group.linear);
  const Operation& last = operation(group.last);
  std::vector<std::int8_t> storage;
  LinearSpec spec = linear_spec(program_, linear, storage);
  spec.output_type = tensor(last.output).type;
  if (group.requantize) {
    spec.requantization = column_requantization(program_, operation(*group.requantize));
  }
  if (group.lookup) {
    spec.table = byte_table(program_, operation(*group.lookup));
    spec.table_output = tensor(operation(*group.lookup).output).type;
  }
  std::optional<View> second;
  if (group.addition) {
    const Operation& addition = operation(*group.addition);
    const int other = addition.inputs[group.addition_is_swapped ? 0 : 1];
    spec.addition = column_addition(program_, addition, group.addition_is_swapped);
    spec.second_type = tensor(other).type;
    second = read_broadcast_rows(other, tensor(last.output).shape, kShortestRun);
  }
  if (tensor(last.output).shape.back() != spec.outputs) {
    throw std::invalid_argument("linear: shapes do not fit");
  }
  const View x = read_rows(linear.inputs[0], kShortestRun);
  const std::int64_t operations = 2 * x.rows() * spec.inputs * spec.outputs;
  add(make_kernel_step("linear", kernels_.linear(spec), x, second, views_.place(last.output, Need::even_rows),
                       operations));
  weights_since_release_ += spec.inputs * spec.outputs;
  if (weights_since_release_ < kWeightsUntilRelease) return;
  program_.release();
  weights_since_release_ = 0;
}

void Planner::emit_attention(const AttentionGroup& group) {
  const Operation& scores = operation(group.scores);
  const Operation& product = operation(group.product);
  const std::int64_t rank = tensor(scores.inputs[1]).shape.size();
  Shape swap_last(rank);
  for (std::int64_t axis = 0; axis < rank; ++axis) swap_last[axis] = axis;
  std::swap(swap_last[rank - 1], swap_last[rank - 2]);
  const auto rows_in_order = [this](const View& view) {
    if (view.has_contiguous_rows()) return view;
    const View copy = views_.fresh(view.type, view.shape);
    add(make_copy_step("copy", {{view, copy}}, copy));
    return copy;
  };
  AttentionPlan plan = attention_kernels(program_, group, kernels_);
  plan.query = rows_in_order(read(scores.inputs[0]));
  plan.key = rows_in_order(permuted(read(scores.inputs[1]), swap_last));
  plan.value = rows_in_order(read(product.inputs[1]));
  plan.output = views_.place(operation(group.last).output, Need::shape);
  for (auto& step : make_attention_steps(std::move(plan))) add(std::move(step));
}

std::size_t Plan::held_bytes() const {
  std::size_t bytes = 0;
  for (const auto& step : steps) bytes += step->held_bytes();
  return bytes;
}

Plan make_plan(const Program& program, const Kernels& kernels) {
  program.check();
  const TabulatedProgram with_tables = tabulated(program);
  return Planner(with_tables.program, kernels).plan();
}

}  // namespace fullint
