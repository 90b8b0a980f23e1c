// Operations that only move elements: views where strides can say it, else copies.
#include "../steps/layout.h"
#include "planner.h"

namespace fullint {

void Planner::emit_layout(const Operation& operation) {
  if (operation.kind == "reshape") return emit_reshape(operation);
  if (operation.kind == "concat") return emit_concat(operation);
  const View input = read(operation.inputs.at(0));
  if (operation.kind == "slice") {
    views_.set(operation.output,
               sliced(input, operation.attribute("dim"), operation.attribute("start"), operation.attribute("stop")));
    return;
  }
  const bool is_permute = operation.kind == "permute";
  if (is_permute && !views_.is_placed(operation.output)) {
    views_.set(operation.output, permuted(input, operation.list("dims")));
    return;
  }
  const View output = views_.place(operation.output, Need::shape);
  if (!is_permute) {
    add(make_copy_step("roll", roll_pieces(operation, input, output), output));
    return;
  }
  const View source = permuted(input, operation.list("dims"));
  if (!is_same(source, output)) add(make_copy_step("permute", {{source, output}}, output));
}

void Planner::emit_reshape(const Operation& operation) {
  const View input = views_.read(operation.inputs.at(0));
  const Shape& shape = tensor(operation.output).shape;
  const auto source = reshaped(input, shape);
  if (!source && !views_.is_placed(operation.output) && only_rows_are_read(operation)) {
    views_.set(operation.output, input);
    return;
  }
  if (source && !views_.is_placed(operation.output)) {
    views_.set(operation.output, *source);
    return;
  }
  const View output = views_.place(operation.output, Need::shape);
  if (source) {
    if (!is_same(*source, output)) add(make_copy_step("reshape", {{*source, output}}, output));
    return;
  }
  if (const auto target = reshaped(output, input.shape)) {
    add(make_copy_step("reshape", {{input, *target}}, output));
    return;
  }
  const View ordered = views_.fresh(input.type, input.shape);
  add(make_copy_step("reshape", {{input, ordered}}, ordered));
  add(make_copy_step("reshape", {{*reshaped(ordered, shape), output}}, output));
}

// Whether the rows of a reshape's input are all that the reshape's reader needs.
bool Planner::only_rows_are_read(const Operation& reshape) const {
  const int user = uses_.only_user(reshape.output);
  const Shape &before = tensor(reshape.inputs[0]).shape, &after = tensor(reshape.output).shape;
  if (user < 0 || before.empty() || after.empty() || before.back() != after.back()) return false;
  const std::string& kind = operation(user).kind;
  return kind == "rescaled_add" || kind == "layer_norm";
}

void Planner::emit_concat(const Operation& operation) {
  const View output = views_.place(operation.output, Need::shape);
  const auto dim = operation.attribute("dim");
  std::vector<std::pair<View, View>> pieces;
  std::int64_t start = 0;
  for (const int index : operation.inputs) {
    const View input = read(index);
    const View target = sliced(output, dim, start, start + input.shape.at(dim));
    start += input.shape.at(dim);
    if (!is_same(input, target)) pieces.emplace_back(input, target);
  }
  if (!pieces.empty()) add(make_copy_step("concat", pieces, output));
}

}  // namespace fullint
