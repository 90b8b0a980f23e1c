#include "program.h"

#include <cstddef>
#include <stdexcept>

namespace fullint {

NumberType number_type_of(const std::string& name) {
  if (name == "uint8") return NumberType::u8;
  if (name == "int8") return NumberType::s8;
  if (name == "int16") return NumberType::s16;
  if (name == "int32") return NumberType::s32;
  throw std::invalid_argument("unknown number type '" + name + "'");
}

Storage storage_of(const std::string& name) {
  if (name == "plain") return Storage::plain;
  if (name == "int4") return Storage::int4;
  if (name == "uint4") return Storage::uint4;
  if (name == "row_uint4") return Storage::row_uint4;
  throw std::invalid_argument("unknown storage type '" + name + "'");
}

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

std::int64_t Tensor::constant_bytes() const {
  const std::int64_t count = element_count(shape);
  if (storage == Storage::plain) return count * size_of(type);
  return (count + 1) / 2 + (storage == Storage::row_uint4 ? shape.at(0) : 0);
}

const std::vector<std::int64_t>& Operation::list(const std::string& name) const {
  const auto found = attributes.find(name);
  if (found == attributes.end()) {
    throw std::invalid_argument(kind + " lacks the attribute '" + name + "'");
  }
  return found->second;
}

std::int64_t Operation::attribute(const std::string& name) const {
  const auto& values = list(name);
  if (values.size() != 1) throw std::invalid_argument(kind + ": '" + name + "' is not a number");
  return values[0];
}

std::vector<int> Program::use_counts() const {
  std::vector<int> counts(tensors.size(), 0);
  for (const Operation& operation : operations) {
    for (const int input_index : operation.inputs) ++counts[input_index];
  }
  ++counts[output];
  return counts;
}

namespace {

void require(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

bool holds(NumberType type, std::int64_t low, std::int64_t high) {
  switch (type) {
    case NumberType::u8:
      return low >= 0 && high <= UINT8_MAX;
    case NumberType::s8:
      return low >= INT8_MIN && high <= INT8_MAX;
    case NumberType::s16:
      return low >= INT16_MIN && high <= INT16_MAX;
    case NumberType::s32:
      return low >= INT32_MIN && high <= INT32_MAX;
  }
  return false;
}

}  // namespace

void Program::check() const {
  const auto exists = [this](int index) { return index >= 0 && index < static_cast<int>(tensors.size()); };
  require(exists(input) && exists(output), "the program's input or output does not exist");
  for (const Tensor& tensor : tensors) {
    require(holds(tensor.type, tensor.low, tensor.high),
            "the range of '" + tensor.name + "' does not fit its number type");
    for (const std::int64_t size : tensor.shape) {
      require(size >= 1 && size <= INT32_MAX, "'" + tensor.name + "' has an empty axis");
    }
    require(element_count(tensor.shape) <= INT32_MAX, "'" + tensor.name + "' is too large");
  }
  require(tensors[input].type == NumberType::u8, "the input is not uint8");
  std::vector<bool> computed(tensors.size(), false);
  computed[input] = true;
  for (const Operation& operation : operations) {
    for (std::size_t position = 0; position < operation.inputs.size(); ++position) {
      const int index = operation.inputs[position];
      require(exists(index) && (computed[index] || tensors[index].is_constant()),
              operation.kind + " reads a tensor before it is computed");
      require(tensors[index].storage == Storage::plain || (operation.kind == "linear" && position == 1),
              operation.kind + " reads a packed constant");
    }
    require(exists(operation.output) && !computed[operation.output] && !tensors[operation.output].is_constant(),
            operation.kind + " assigns a tensor twice");
    computed[operation.output] = true;
  }
  require(computed[output], "the program's output is never computed");
}

}  // namespace fullint
