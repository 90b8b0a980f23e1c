#include "fusion.h"

#include "row_specs.h"
#include "specs.h"

namespace fullint {

Uses::Uses(const Program& program) : only_user_(program.tensors.size(), -1) {
  const std::vector<int> counts = program.use_counts();
  for (std::size_t index = 0; index < program.operations.size(); ++index) {
    for (const int input : program.operations[index].inputs) {
      if (counts[input] == 1) only_user_[input] = static_cast<int>(index);
    }
  }
  only_user_[program.output] = -1;
}

namespace {

bool is_byte(NumberType type) { return type == NumberType::u8 || type == NumberType::s8; }

// Follows a value through the operations that are its only readers.
class Chain {
 public:
  Chain(const Program& program, const Uses& uses, int operation) : program_(program), uses_(uses), last_(operation) {}

  // The next operation, if it is of this kind and reads the value as its first operand.
  std::optional<int> next(const std::string& kind, std::size_t operand = 0) const {
    const int tensor = program_.operations[last_].output;
    const int user = uses_.only_user(tensor);
    if (user < 0 || program_.operations[user].kind != kind) return std::nullopt;
    if (program_.operations[user].inputs[operand] != tensor) return std::nullopt;
    return user;
  }
  void advance(int operation) { last_ = operation; }
  int last() const { return last_; }
  const Operation& operation(int index) const { return program_.operations[index]; }
  const Tensor& output(int index) const { return program_.tensors[program_.operations[index].output]; }

 private:
  const Program& program_;
  const Uses& uses_;
  int last_;
};

}  // namespace

LinearGroup match_linear(const Program& program, const Uses& uses, const std::vector<bool>& is_taken, int linear) {
  LinearGroup group;
  group.linear = group.last = linear;
  Chain chain(program, uses, linear);
  const auto take = [&](int operation) {
    chain.advance(operation);
    group.last = operation;
    return operation;
  };
  const auto requantize = chain.next("requantize");
  if (!requantize || !column_requantization(program, chain.operation(*requantize))) return group;
  group.requantize = take(*requantize);
  const auto lookup = chain.next("lookup");
  if (lookup && byte_table(program, chain.operation(*lookup))) group.lookup = take(*lookup);
  for (const bool swapped : {false, true}) {
    const auto addition = chain.next("rescaled_add", swapped ? 1 : 0);
    if (!addition || is_taken[*addition] || group.addition) continue;
    const Operation& operation = chain.operation(*addition);
    const int second = operation.inputs[swapped ? 0 : 1];
    const Tensor& other = program.tensors[second];
    const bool fits = chain.output(chain.last()).shape == chain.output(*addition).shape &&
                      !other.shape.empty() && other.shape.back() == chain.output(*addition).shape.back();
    if (fits && column_addition(program, operation, swapped)) {
      group.addition = take(*addition);
      group.addition_is_swapped = swapped;
    }
  }
  return group;
}

namespace {

bool softmax_suits_product(const Operation& softmax, const Operation& product) {
  if (softmax.kind == "exponentials") return product.kind == "weighted_average";
  const auto of_rows = row_softmax(softmax);
  if (softmax.kind == "log2_softmax" || (of_rows && gives_powers(*of_rows))) return product.kind == "shift_matmul";
  return product.kind == "matmul" && product.attribute("zero_a") == 0;
}

bool has_matrix_factors(const Program& program, const Operation& operation) {
  const Shape& shape = program.tensors[operation.output].shape;
  for (int operand = 1; operand <= 3; ++operand) {
    if (!matrix_values(program.tensors[operation.inputs[operand]], shape)) return false;
  }
  return true;
}

// Of a table_softmax: levels that the kernels can keep, and as many rows as there are heads, or one.
bool has_suitable_table(const Program& program, const Operation& softmax) {
  const Shape& scores = program.tensors[softmax.output].shape;
  const Tensor& table = program.tensors[softmax.inputs.at(4)];
  if (!table.is_constant() || table.shape.size() != 2 || table.low < 0 || table.high > INT16_MAX) return false;
  return table.shape[0] == 1 || (scores.size() >= 3 && table.shape[0] == scores[scores.size() - 3]);
}

bool keeps_matrices(const Shape& before, const Shape& after) {
  return after.size() >= 2 && before.size() >= 2 && before.back() == after.back() &&
         before[before.size() - 2] == after[after.size() - 2];
}

// From the scores to the softmax: reshapes of the leading axes, additions of constants, then
// perhaps one requantization.
bool follow_scores(const Program& program, Chain& chain, AttentionGroup& group) {
  const Shape& scores = chain.output(group.scores).shape;
  while (true) {
    int user = -1;
    if (const auto reshape = chain.next("reshape")) {
      if (!keeps_matrices(scores, chain.output(*reshape).shape)) return false;
      user = *reshape;
    } else if (const auto addition = chain.next("add")) {
      const Operation& operation = chain.operation(*addition);
      const bool same_shape = chain.output(*addition).shape == chain.output(chain.last()).shape;
      if (!program.tensors[operation.inputs[1]].is_constant() || !same_shape || group.requantize_scores) {
        return false;
      }
      group.additions.push_back(*addition);
      user = *addition;
    } else if (const auto requantize = chain.next("requantize")) {
      const Operation& operation = chain.operation(*requantize);
      const auto grid = requantization_grid(operation);
      if (group.requantize_scores || !grid || !has_matrix_factors(program, operation) ||
          std::int64_t{grid->high} - grid->low > 255) {
        return false;
      }
      group.requantize_scores = *requantize;
      user = *requantize;
    } else {
      for (const char* kind : {"exponentials", "softmax", "log2_softmax", "table_softmax", "e2softmax", "itamax", "shiftmax"}) {
        if (const auto softmax = chain.next(kind)) user = group.softmax = *softmax;
      }
      if (user < 0 || !has_matrix_factors(program, chain.operation(user))) return false;
      if (chain.operation(user).kind == "table_softmax" && !has_suitable_table(program, chain.operation(user))) return false;
    }
    chain.advance(user);
    group.members.push_back(user);
    if (group.softmax >= 0) return true;
  }
}

bool has_byte_operands(const Program& program, const AttentionGroup& group) {
  const Operation& scores = program.operations[group.scores];
  const Operation& product = program.operations[group.product];
  return is_byte(program.tensors[scores.inputs[0]].type) && is_byte(program.tensors[scores.inputs[1]].type) &&
         is_byte(program.tensors[product.inputs[1]].type);
}

// The kernels keep bytes less their zero point in 16 bits.
bool has_small_zero_points(const Program& program, const AttentionGroup& group) {
  const Operation& scores = program.operations[group.scores];
  const Operation& product = program.operations[group.product];
  const char* const zero_value = product.kind == "weighted_average" ? "zero_v" : "zero_b";
  for (const std::int64_t zero :
       {scores.attribute("zero_a"), scores.attribute("zero_b"), product.attribute(zero_value)}) {
    if (zero < -32000 || zero > 32000) return false;
  }
  return true;
}

}  // namespace

std::optional<AttentionGroup> match_attention(const Program& program, const Uses& uses, int matmul) {
  AttentionGroup group;
  group.scores = matmul;
  group.members.push_back(matmul);
  Chain chain(program, uses, matmul);
  if (!follow_scores(program, chain, group)) return std::nullopt;
  while (const auto reshape = chain.next("reshape")) {
    if (!keeps_matrices(chain.output(matmul).shape, chain.output(*reshape).shape)) {
      return std::nullopt;
    }
    chain.advance(*reshape);
    group.members.push_back(*reshape);
  }
  for (const char* kind : {"weighted_average", "shift_matmul", "matmul"}) {
    if (const auto product = chain.next(kind)) group.product = *product;
  }
  if (group.product < 0 || !softmax_suits_product(chain.operation(group.softmax), chain.operation(group.product)) ||
      !has_byte_operands(program, group) || !has_small_zero_points(program, group)) {
    return std::nullopt;
  }
  chain.advance(group.product);
  group.members.push_back(group.product);
  if (const auto requantize = chain.next("requantize")) {
    const Operation& operation = chain.operation(*requantize);
    if (requantization_grid(operation) &&
        (has_matrix_factors(program, operation) || column_requantization(program, operation))) {
      group.requantize = *requantize;
      group.members.push_back(*requantize);
      chain.advance(*requantize);
    }
  }
  group.last = chain.last();
  return group;
}

}  // namespace fullint
