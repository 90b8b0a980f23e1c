#include "specs.h"

#include <algorithm>
#include <stdexcept>

#include "../rows.h"

namespace fullint {

namespace {

bool fits_int32(std::int64_t value) { return value >= INT32_MIN && value <= INT32_MAX; }

bool all_fit_int32(const Operation& operation, std::initializer_list<const char*> names) {
  return std::all_of(names.begin(), names.end(),
                     [&](const char* name) { return fits_int32(operation.attribute(name)); });
}

std::int32_t number(const Operation& operation, const char* name) {
  return static_cast<std::int32_t>(operation.attribute(name));
}

bool is_byte(NumberType type) { return type == NumberType::u8 || type == NumberType::s8; }

}  // namespace

std::vector<std::int32_t> constant_values(const Tensor& constant, const Shape& shape) {
  View view;
  view.type = constant.type;
  view.shape = constant.shape;
  view.strides = contiguous_strides(constant.shape);
  view = broadcasted(view, shape);
  const RowOffsets offsets(view);
  std::vector<std::int32_t> values(element_count(shape));
  for (std::int64_t row = 0; row < view.rows(); ++row) {
    load_row(static_cast<const std::byte*>(constant.data), view.type, offsets[row], view.row_stride(),
             view.row_length(), values.data() + row * view.row_length());
  }
  return values;
}

std::optional<std::vector<std::int32_t>> column_values(const Tensor& constant, const Shape& shape) {
  const std::int64_t count = element_count(constant.shape);
  if (!constant.is_constant()) return std::nullopt;
  if (count != 1 && (constant.shape.empty() || constant.shape.back() != count)) {
    return std::nullopt;
  }
  if (count != 1 && count != shape.back()) return std::nullopt;
  return constant_values(constant, constant.shape);
}

std::optional<std::vector<std::int32_t>> matrix_values(const Tensor& constant, const Shape& shape) {
  if (!constant.is_constant()) return std::nullopt;
  const std::size_t rank = constant.shape.size();
  for (std::size_t axis = rank < 2 ? 0 : rank - 2; axis < rank; ++axis) {
    if (constant.shape[axis] != 1) return std::nullopt;
  }
  Shape one_each = shape;
  one_each[shape.size() - 1] = one_each[shape.size() - 2] = 1;
  return constant_values(constant, one_each);
}

std::optional<Requantization> requantization_grid(const Operation& operation) {
  if (!all_fit_int32(operation, {"zero_point", "low", "high"})) return std::nullopt;
  Requantization result;
  result.intermediate_bits = number(operation, "intermediate_bits");
  result.zero_point = number(operation, "zero_point");
  result.low = number(operation, "low");
  result.high = number(operation, "high");
  return result;
}

std::optional<Requantization> column_requantization(const Program& program, const Operation& operation) {
  auto result = requantization_grid(operation);
  const Shape& shape = program.tensors[operation.output].shape;
  const auto pre_shift = column_values(program.tensors[operation.inputs[1]], shape);
  const auto multiplier = column_values(program.tensors[operation.inputs[2]], shape);
  const auto shift = column_values(program.tensors[operation.inputs[3]], shape);
  if (!result || !pre_shift || !multiplier || !shift) return std::nullopt;
  result->pre_shift = *pre_shift;
  result->multiplier = *multiplier;
  result->shift = *shift;
  return result;
}

std::optional<RescaledAddition> column_addition(const Program& program, const Operation& operation, bool swap) {
  const Shape& shape = program.tensors[operation.output].shape;
  const auto a = column_values(program.tensors[operation.inputs[2]], shape);
  const auto b = column_values(program.tensors[operation.inputs[3]], shape);
  const auto shift = column_values(program.tensors[operation.inputs[4]], shape);
  if (!a || !b || !shift || !all_fit_int32(operation, {"zero_a", "zero_b", "zero_point", "low", "high"})) {
    return std::nullopt;
  }
  RescaledAddition result;
  result.multiplier_a = swap ? *b : *a;
  result.multiplier_b = swap ? *a : *b;
  result.shift = *shift;
  result.zero_a = number(operation, swap ? "zero_b" : "zero_a");
  result.zero_b = number(operation, swap ? "zero_a" : "zero_b");
  result.zero_point = number(operation, "zero_point");
  result.low = number(operation, "low");
  result.high = number(operation, "high");
  return result;
}

std::optional<LayerNormSpec> layer_norm_spec(const Program& program, const Operation& operation) {
  if (!all_fit_int32(operation, {"zero_x", "zero_point", "low", "high"})) return std::nullopt;
  const Tensor& x = program.tensors[operation.inputs[0]];
  LayerNormSpec spec;
  spec.channels = x.shape.back();
  spec.input_type = x.type;
  spec.output_type = program.tensors[operation.output].type;
  const Shape channels{spec.channels};
  spec.channel_shift = constant_values(program.tensors[operation.inputs[1]], channels);
  spec.multiplier = constant_values(program.tensors[operation.inputs[2]], channels);
  spec.bias = constant_values(program.tensors[operation.inputs[3]], channels);
  spec.shift = constant_values(program.tensors[operation.inputs[4]], channels);
  spec.zero_x = number(operation, "zero_x");
  spec.epsilon = operation.attribute("epsilon");
  spec.zero_point = number(operation, "zero_point");
  spec.low = number(operation, "low");
  spec.high = number(operation, "high");
  return spec;
}

namespace {

void check_table_covers(const Tensor& x, std::int64_t offset, const Tensor& table) {
  if (table.shape.size() != 1 || x.low < offset || x.high - offset >= table.shape[0]) {
    throw std::invalid_argument("lookup: the table does not cover its input");
  }
}

}  // namespace

std::optional<std::array<std::uint8_t, 256>> byte_table(const Program& program, const Operation& operation) {
  const Tensor& x = program.tensors[operation.inputs[0]];
  const Tensor& table = program.tensors[operation.inputs[1]];
  const NumberType output = program.tensors[operation.output].type;
  if (!is_byte(x.type) || !is_byte(output) || table.type != output) return std::nullopt;
  const std::vector<std::int32_t> entries = constant_values(table, table.shape);
  const std::int64_t offset = operation.attribute("offset");
  check_table_covers(x, offset, table);
  std::array<std::uint8_t, 256> bytes{};
  for (std::int64_t code = x.low; code <= x.high; ++code) {
    bytes[code & 255] = static_cast<std::uint8_t>(entries[code - offset]);
  }
  return bytes;
}

namespace {

// Weights as int8, where they are not stored as such but fit.
std::optional<std::vector<std::int8_t>> byte_weights(const Tensor& weight) {
  if (weight.low < INT8_MIN || weight.high > INT8_MAX) return std::nullopt;
  const std::int64_t count = element_count(weight.shape);
  if (weight.storage == Storage::plain) {
    if (weight.type == NumberType::s8) return std::nullopt;
    const auto values = constant_values(weight, weight.shape);
    return std::vector<std::int8_t>(values.begin(), values.end());
  }
  const auto* bytes = static_cast<const std::uint8_t*>(weight.data);
  const std::int64_t offsets = weight.storage == Storage::row_uint4 ? weight.shape[0] : 0;
  std::vector<std::int8_t> values(count + count % 2);
  for (std::int64_t pair = 0; pair < (count + 1) / 2; ++pair) {
    values[2 * pair] = bytes[offsets + pair] & 15;
    values[2 * pair + 1] = static_cast<std::int8_t>(bytes[offsets + pair] >> 4);
  }
  values.resize(count);
  if (weight.storage == Storage::int4) {
    for (std::int8_t& value : values) value = static_cast<std::int8_t>((value ^ 8) - 8);
  }
  for (std::int64_t row = 0; row < offsets; ++row) {
    std::int8_t* first = values.data() + row * weight.shape[1];
    const auto offset = static_cast<std::int8_t>(bytes[row]);
    for (std::int64_t i = 0; i < weight.shape[1]; ++i) first[i] = static_cast<std::int8_t>(first[i] + offset);
  }
  return values;
}

}  // namespace

std::optional<WordLookupSpec> word_lookup_spec(const Program& program, const Operation& operation) {
  const Tensor& x = program.tensors[operation.inputs[0]];
  const Tensor& table = program.tensors[operation.inputs[1]];
  const NumberType output = program.tensors[operation.output].type;
  if (x.type == NumberType::s32 || output == NumberType::s32 || table.type != output) return std::nullopt;
  const std::int64_t offset = operation.attribute("offset");
  check_table_covers(x, offset, table);
  // The entries that x can reach: the table itself may be of any length.
  const std::vector<std::int32_t> entries = constant_values(table, table.shape);
  const auto first = entries.begin() + (x.low - offset), last = entries.begin() + (x.high - offset) + 1;
  return WordLookupSpec{{x.shape.back(), x.type, output}, static_cast<std::int32_t>(x.low), {first, last}};
}

LinearSpec linear_spec(const Program& program, const Operation& operation, std::vector<std::int8_t>& storage) {
  const Tensor& x = program.tensors[operation.inputs[0]];
  const Tensor& weight = program.tensors[operation.inputs[1]];
  const Tensor& bias = program.tensors[operation.inputs[2]];
  LinearSpec spec;
  if (weight.shape.size() != 2 || weight.shape[1] != x.shape.back() || bias.shape != Shape{weight.shape[0]}) {
    throw std::invalid_argument("linear: shapes do not fit");
  }
  spec.outputs = weight.shape[0];
  spec.inputs = weight.shape[1];
  spec.input_type = x.type;
  spec.weights = weight.data;
  spec.weight_type = weight.type;
  if (auto values = byte_weights(weight)) {
    storage = std::move(*values);
    spec.weights = storage.data();
    spec.weight_type = NumberType::s8;
  }
  spec.bias = constant_values(bias, bias.shape);
  return spec;
}

}  // namespace fullint
