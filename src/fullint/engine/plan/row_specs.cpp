#include "row_specs.h"

#include <stdexcept>

#include "specs.h"

namespace fullint {

namespace {

std::int32_t number(const Operation& operation, const char* name) {
  const std::int64_t value = operation.attribute(name);
  if (value < INT32_MIN || value > INT32_MAX) {
    throw std::invalid_argument(operation.kind + ": '" + name + "' is beyond 32 bits");
  }
  return static_cast<std::int32_t>(value);
}

// Three constants of one element each, from this input on.
ScalarFactor scalar_factor(const Program& program, const Operation& operation, std::size_t input) {
  const auto value = [&](std::size_t part) {
    return constant_values(program.tensors[operation.inputs.at(input + part)], {1}).front();
  };
  return {value(0), value(1), value(2)};
}

}  // namespace

std::optional<RowSoftmax> row_softmax(const Operation& operation) {
  RowSoftmax softmax;
  const bool is_e2softmax = operation.kind == "e2softmax", is_shiftmax = operation.kind == "shiftmax";
  if (!is_e2softmax && !is_shiftmax && operation.kind != "itamax") return std::nullopt;
  softmax.kind = is_e2softmax  ? RowSoftmaxKind::e2softmax
                 : is_shiftmax ? RowSoftmaxKind::shiftmax
                               : RowSoftmaxKind::itamax;
  softmax.fraction_bits = number(operation, "fraction_bits");
  if (!is_shiftmax) {
    softmax.zero_point = number(operation, "zero_point");
    softmax.group = operation.attribute("group");
  }
  if (!is_e2softmax) softmax.rounding = number(operation, "rounding");
  if (is_shiftmax) softmax.octaves = number(operation, "octaves");
  if (is_e2softmax || is_shiftmax) {
    softmax.natural = number(operation, "natural");
    softmax.output_bits = number(operation, "output_bits");
  }
  for (std::size_t half = 0; is_e2softmax && half < 2; ++half) {
    softmax.quotients[half] = static_cast<std::int32_t>(operation.list("quotients").at(half));
  }
  return softmax;
}

std::optional<RowGelu> row_gelu(const Program& program, const Operation& operation) {
  RowGelu gelu;
  if (operation.kind == "ibert_gelu") {
    gelu.kind = RowGeluKind::ibert_gelu;
    gelu.edge = number(operation, "edge");
    gelu.unit = number(operation, "unit");
    gelu.gate_shift = number(operation, "gate_shift");
  } else if (operation.kind == "shiftgelu") {
    gelu.kind = RowGeluKind::shiftgelu;
    gelu.fraction_bits = number(operation, "fraction_bits");
    gelu.octaves = number(operation, "octaves");
    gelu.natural = number(operation, "natural");
    gelu.rounding = number(operation, "rounding");
    gelu.row_maximum = number(operation, "row_maximum");
    gelu.gate_bits = number(operation, "gate_bits");
  } else {
    return std::nullopt;
  }
  gelu.factor = scalar_factor(program, operation, 1);
  gelu.output_factor = scalar_factor(program, operation, 4);
  gelu.zero_x = number(operation, "zero_x");
  gelu.zero_point = number(operation, "zero_point");
  gelu.low = number(operation, "low");
  gelu.high = number(operation, "high");
  return gelu;
}

std::optional<RowNorm> row_norm(const Operation& operation) {
  RowNorm norm;
  if (operation.kind == "ailayernorm") {
    norm.kind = RowNormKind::ailayernorm;
    norm.ranges = number(operation, "ranges");
  } else if (operation.kind == "i_layernorm") {
    norm.kind = RowNormKind::i_layernorm;
    norm.fraction_bits = number(operation, "fraction_bits");
    norm.start_bits = number(operation, "start_bits");
    norm.iterations = number(operation, "iterations");
  } else {
    return std::nullopt;
  }
  return norm;
}

std::unique_ptr<const RowKernel> row_kernel(const Program& program, const Operation& operation, const Kernels& kernels) {
  if (const auto norm = row_norm(operation)) {
    const auto spec = layer_norm_spec(program, operation);
    return spec ? kernels.row_norm(*spec, *norm) : nullptr;
  }
  if (const auto gelu = row_gelu(program, operation)) {
    const Tensor &x = program.tensors[operation.inputs.at(0)], &result = program.tensors[operation.output];
    return kernels.row_gelu({x.shape.back(), x.type, result.type}, *gelu);
  }
  return nullptr;
}

}  // namespace fullint
