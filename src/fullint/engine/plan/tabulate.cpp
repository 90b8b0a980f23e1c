#include "tabulate.h"

#include "row_specs.h"

namespace fullint {

namespace {

// Codes of 16 bits and their zero point have no more values.
constexpr std::int64_t kMostEntries = std::int64_t{1} << 16;

bool is_function_of_one_number(const Program& program, const Operation& operation) {
  const Tensor& x = program.tensors[operation.inputs.at(0)];
  if (x.is_constant() || x.high - x.low >= kMostEntries) return false;
  const auto gelu = row_gelu(program, operation);
  return gelu && is_elementwise(*gelu);
}

// The results for every number from x.low to x.high, as a constant of the results' type.
Tensor table_of(const RowGelu& gelu, const Tensor& x, const Tensor& result, TabulatedProgram& tabulated) {
  const std::int64_t entries = x.high - x.low + 1;
  auto storage = std::make_unique<std::int32_t[]>(entries);
  std::vector<std::int32_t> numbers(entries);
  for (std::int64_t entry = 0; entry < entries; ++entry) numbers[entry] = static_cast<std::int32_t>(x.low + entry);
  select_kernels(Isa::portable)
      .row_gelu({entries, NumberType::s32, result.type}, gelu)
      ->run(1, {numbers.data(), entries}, {}, {storage.get(), entries});
  const Tensor table{"table of " + result.name, {entries}, result.type, result.low, result.high, storage.get()};
  tabulated.tables.push_back(std::move(storage));
  return table;
}

}  // namespace

TabulatedProgram tabulated(const Program& program) {
  TabulatedProgram result{program, {}};
  for (Operation& operation : result.program.operations) {
    if (!is_function_of_one_number(program, operation)) continue;
    const int input = operation.inputs[0];
    const Tensor& x = program.tensors[input];
    Tensor table = table_of(*row_gelu(program, operation), x, program.tensors[operation.output], result);
    operation.kind = "lookup";
    operation.inputs = {input, static_cast<int>(result.program.tensors.size())};
    operation.attributes = {{"offset", {x.low}}};
    result.program.tensors.push_back(std::move(table));
  }
  return result;
}

}  // namespace fullint
