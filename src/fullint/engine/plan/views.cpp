#include "views.h"

#include <stdexcept>

namespace fullint {

namespace {

// Operations that `place` looks ahead; every one is a level of recursion.
constexpr int kLongestLook = 64;

}  // namespace

TensorViews::TensorViews(const Program& program, const Uses& uses)
    : program_(program), uses_(uses), views_(program.tensors.size()) {
  auto pixels = std::make_shared<Buffer>();
  pixels->place = Buffer::Place::pixels;
  const Tensor& input = program.tensors[program.input];
  pixels->size = element_count(input.shape) * size_of(input.type);
  views_[program.input] = contiguous_view(pixels, input.type, input.shape);
}

View TensorViews::read(int tensor) {
  if (views_[tensor]) return *views_[tensor];
  const Tensor& constant = program_.tensors[tensor];
  if (!constant.is_constant()) throw std::logic_error("a step reads '" + constant.name + "' before it is computed");
  auto buffer = std::make_shared<Buffer>();
  buffer->place = Buffer::Place::constant;
  buffer->size = element_count(constant.shape) * size_of(constant.type);
  const auto* data = static_cast<const std::byte*>(constant.data);
  buffer->bytes.assign(data, data + buffer->size);
  views_[tensor] = contiguous_view(buffer, constant.type, constant.shape);
  return *views_[tensor];
}

View TensorViews::fresh(NumberType type, const Shape& shape) const {
  auto buffer = std::make_shared<Buffer>();
  buffer->size = element_count(shape) * size_of(type);
  return contiguous_view(buffer, type, shape);
}

View TensorViews::place(int tensor, Need need) {
  placed_.clear();
  return place(tensor, need, kLongestLook);
}

View TensorViews::place(int tensor, Need need, int look) {
  if (views_[tensor]) return *views_[tensor];
  const Tensor& type = program_.tensors[tensor];
  const std::size_t before = placed_.size();
  std::optional<View> view = look > 0 ? through_reader(tensor, need, look - 1) : std::nullopt;
  const bool suits = view && view->has_contiguous_rows() && (need != Need::even_rows || RowOffsets(*view).stride());
  if (!suits) {
    for (; placed_.size() > before; placed_.pop_back()) views_[placed_.back()].reset();
    view = fresh(type.type, type.shape);
  }
  views_[tensor] = view;
  placed_.push_back(tensor);
  return *view;
}

std::optional<View> TensorViews::through_reader(int tensor, Need need, int look) {
  const int user = uses_.only_user(tensor);
  if (user < 0) return std::nullopt;
  const Operation& operation = program_.operations[user];
  if (operation.kind == "reshape") {
    const View result = place(operation.output, Need::shape, look);
    const Shape& shape = program_.tensors[tensor].shape;
    const auto view = reshaped(result, shape);
    const bool keeps_rows = !shape.empty() && !result.shape.empty() && result.shape.back() == shape.back();
    return !view && need != Need::shape && keeps_rows ? result : view;
  }
  if (operation.kind == "permute") {
    const Shape& dims = operation.list("dims");
    Shape inverse(dims.size());
    for (std::size_t axis = 0; axis < dims.size(); ++axis) inverse.at(dims[axis]) = axis;
    return permuted(place(operation.output, Need::shape, look), inverse);
  }
  if (operation.kind == "concat") {
    if (program_.tensors[operation.output].type != program_.tensors[tensor].type) {
      return std::nullopt;
    }
    const auto dim = operation.attribute("dim");
    std::int64_t start = 0;
    for (const int input : operation.inputs) {
      const std::int64_t size = program_.tensors[input].shape.at(dim);
      if (input == tensor) {
        return sliced(place(operation.output, Need::shape, look), dim, start, start + size);
      }
      start += size;
    }
  }
  return std::nullopt;
}

}  // namespace fullint
