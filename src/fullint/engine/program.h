// The integer program as the engine receives it: typed tensors and operations on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace fullint {

using Shape = std::vector<std::int64_t>;

NumberType number_type_of(const std::string& name);
std::int64_t element_count(const Shape& shape);

// How a constant's elements lie in memory: each in its number type, or two to a byte (fullint.integer.storage).
enum class Storage : std::uint8_t { plain, int4, uint4, row_uint4 };

Storage storage_of(const std::string& name);

// One image's tensor. `data` points at a constant's elements, in order; it is null for a computed tensor. It is only valid
// while the engine is being built.
struct Tensor {
  std::string name;
  Shape shape;
  NumberType type = NumberType::u8;
  std::int64_t low = 0;
  std::int64_t high = 0;
  const void* data = nullptr;
  Storage storage = Storage::plain;  // only weights of linear layers may be packed

  bool is_constant() const { return data != nullptr; }
  std::int64_t constant_bytes() const;
};

struct Operation {
  std::string kind;
  std::vector<int> inputs;
  int output = 0;
  std::map<std::string, std::vector<std::int64_t>> attributes;

  // Value of an attribute that is one number; throws if it is missing.
  std::int64_t attribute(const std::string& name) const;
  const std::vector<std::int64_t>& list(const std::string& name) const;
};

struct Program {
  std::vector<Tensor> tensors;
  std::vector<Operation> operations;
  int input = 0;
  int output = 0;
  // Called now and then while the engine is being built: what it has taken so far of the constants, it holds in another form.
  std::function<void()> release = [] {};

  // How many operations read each tensor; the program's output counts as one more.
  std::vector<int> use_counts() const;

  // Throws std::invalid_argument unless every index, shape and range is such that no step can
  // touch memory that is not its own. What values mean was proven by the Python package.
  void check() const;
};

}  // namespace fullint
