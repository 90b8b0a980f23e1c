#include "attention_plan.h"

#include <map>
#include <stdexcept>

#include "row_specs.h"
#include "specs.h"

namespace fullint {

namespace {

// Factors of a requantization or a softmax, one number a head, or one a column for all heads.
struct HeadFactors {
  std::vector<std::int32_t> pre_shift, multiplier, shift;
  bool is_of_columns = false;

  std::vector<std::int32_t> of_head(std::size_t head) const { return {pre_shift[head], multiplier[head], shift[head]}; }
};

HeadFactors head_factors(const Program& program, int index) {
  const Operation& operation = program.operations[index];
  const Shape& shape = program.tensors[operation.output].shape;
  HeadFactors factors;
  std::vector<std::int32_t>* const parts[] = {&factors.pre_shift, &factors.multiplier, &factors.shift};
  for (int part = 0; part < 3; ++part) {
    const Tensor& constant = program.tensors[operation.inputs[part + 1]];
    const auto values = matrix_values(constant, shape);
    if (!values) {
      factors.is_of_columns = true;
      break;
    }
    *parts[part] = *values;
  }
  return factors;
}

Requantization of_head(const Program& program, int index, const HeadFactors& factors, std::size_t head) {
  if (factors.is_of_columns) {
    return *column_requantization(program, program.operations[index]);
  }
  Requantization result = *requantization_grid(program.operations[index]);
  result.pre_shift = {factors.pre_shift[head]};
  result.multiplier = {factors.multiplier[head]};
  result.shift = {factors.shift[head]};
  return result;
}

AttentionSpec common_spec(const Program& program, const AttentionGroup& group) {
  const Operation& scores = program.operations[group.scores];
  const Operation& softmax = program.operations[group.softmax];
  const Operation& product = program.operations[group.product];
  const Tensor& query = program.tensors[scores.inputs[0]];
  const Tensor& key = program.tensors[scores.inputs[1]];
  const Tensor& value = program.tensors[product.inputs[1]];
  AttentionSpec spec;
  spec.keys = key.shape.back();
  spec.depth = query.shape.back();
  spec.value_depth = value.shape.back();
  spec.query_type = query.type;
  spec.key_type = key.type;
  spec.value_type = value.type;
  spec.zero_query = static_cast<std::int32_t>(scores.attribute("zero_a"));
  spec.zero_key = static_cast<std::int32_t>(scores.attribute("zero_b"));
  spec.has_addend = !group.additions.empty();
  if (softmax.kind == "exponentials") {
    spec.kind = AttentionKind::exponentials;
    spec.zero_value = static_cast<std::int32_t>(product.attribute("zero_v"));
    spec.value_bits = static_cast<std::int32_t>(product.attribute("value_bits"));
    spec.fraction_bits = static_cast<std::int32_t>(product.attribute("fraction_bits"));
  } else {
    spec.zero_value = static_cast<std::int32_t>(product.attribute("zero_b"));
    const auto of_rows = row_softmax(softmax);
    spec.kind = softmax.kind == "softmax"         ? AttentionKind::softmax
                : softmax.kind == "log2_softmax" ? AttentionKind::log2_softmax
                : of_rows                        ? AttentionKind::row_softmax
                                                 : AttentionKind::table_softmax;
    if (of_rows) spec.row_softmax = *of_rows;
    if (softmax.kind == "log2_softmax") {
      spec.log2_rounding = static_cast<std::int32_t>(softmax.attribute("rounding"));
    }
  }
  spec.output_type = program.tensors[program.operations[group.last].output].type;
  return spec;
}

// The tables of a table_softmax, one a head or one for all; none for other kinds.
std::vector<std::vector<std::int16_t>> softmax_tables(const Program& program, const AttentionGroup& group) {
  const Operation& softmax = program.operations[group.softmax];
  std::vector<std::vector<std::int16_t>> tables;
  if (softmax.kind != "table_softmax") return tables;
  const Tensor& table = program.tensors[softmax.inputs[4]];
  const auto levels = constant_values(table, table.shape);
  const auto entries = static_cast<std::ptrdiff_t>(table.shape[1]);
  for (auto row = levels.begin(); row != levels.end(); row += entries) tables.emplace_back(row, row + entries);
  return tables;
}

// The sum of all constants added to each head's scores; heads whose sums are equal share one.
std::vector<std::shared_ptr<const std::vector<std::int32_t>>> sum_addends(const Program& program,
                                                                          const AttentionGroup& group,
                                                                          std::size_t heads, std::size_t elements) {
  std::map<std::vector<std::int32_t>, std::shared_ptr<const std::vector<std::int32_t>>> known;
  std::vector<std::shared_ptr<const std::vector<std::int32_t>>> result;
  std::vector<std::vector<std::int32_t>> addends;
  for (const int index : group.additions) {
    const Operation& addition = program.operations[index];
    addends.push_back(constant_values(program.tensors[addition.inputs[1]], program.tensors[addition.output].shape));
  }
  for (std::size_t head = 0; head < heads; ++head) {
    std::vector<std::int32_t> sum(elements, 0);
    for (const auto& addend : addends) {
      for (std::size_t i = 0; i < elements; ++i) sum[i] += addend[head * elements + i];
    }
    auto& shared = known[sum];
    if (!shared) shared = std::make_shared<const std::vector<std::int32_t>>(sum);
    result.push_back(shared);
  }
  return result;
}

}  // namespace

AttentionPlan attention_kernels(const Program& program, const AttentionGroup& group, const Kernels& kernels) {
  const Shape& scores = program.tensors[program.operations[group.scores].output].shape;
  const std::size_t elements = scores[scores.size() - 1] * scores[scores.size() - 2];
  const std::size_t heads = element_count(scores) / elements;
  const HeadFactors softmax = head_factors(program, group.softmax);
  HeadFactors score_factors, output_factors;
  if (group.requantize_scores) score_factors = head_factors(program, *group.requantize_scores);
  if (group.requantize) output_factors = head_factors(program, *group.requantize);

  const auto tables = softmax_tables(program, group);
  AttentionSpec spec = common_spec(program, group);
  AttentionPlan plan;
  std::map<std::vector<std::vector<std::int32_t>>, std::shared_ptr<const Attention>> known;
  for (std::size_t head = 0; head < heads; ++head) {
    std::vector<std::vector<std::int32_t>> key{softmax.of_head(head)};
    spec.factor = {softmax.pre_shift[head], softmax.multiplier[head], softmax.shift[head]};
    if (!tables.empty()) {
      const std::size_t table = head % tables.size();
      spec.table = tables[table];
      key.push_back({static_cast<std::int32_t>(table)});
    }
    if (group.requantize_scores) {
      spec.score_requantization = of_head(program, *group.requantize_scores, score_factors, head);
      key.push_back(score_factors.of_head(head));
    }
    if (group.requantize) {
      spec.requantization = of_head(program, *group.requantize, output_factors, head);
      if (!output_factors.is_of_columns) key.push_back(output_factors.of_head(head));
    }
    auto& kernel = known[key];
    if (!kernel) kernel = kernels.attention(spec);
    plan.kernels.push_back(kernel);
  }
  if (spec.has_addend) plan.addends = sum_addends(program, group, heads, elements);
  return plan;
}

}  // namespace fullint
