// Plain C functions around the kernels, for validate.py. The structures are mirrored there.
#include <cstring>
#include <new>

#include "kernels.h"

using namespace fullint;

namespace {

struct Matrix {
  void* data;
  int64_t row_stride;  // elements
};

struct Factors {  // a Requantization, if given
  int32_t given, count;
  const int32_t *pre_shift, *multiplier, *shift;
  int32_t intermediate_bits, zero_point, low, high;
};

struct Addition {  // a RescaledAddition, if given
  int32_t given, count;
  const int32_t *multiplier_a, *multiplier_b, *shift;
  int32_t zero_a, zero_b, zero_point, low, high;
};

std::vector<int32_t> copy(const int32_t* values, int64_t count) { return {values, values + count}; }

std::optional<Requantization> read(const Factors& from) {
  if (!from.given) return std::nullopt;
  return Requantization{copy(from.pre_shift, from.count), copy(from.multiplier, from.count), copy(from.shift, from.count),
                        from.intermediate_bits, from.zero_point, from.low, from.high};
}

std::optional<RescaledAddition> read(const Addition& from) {
  if (!from.given) return std::nullopt;
  return RescaledAddition{copy(from.multiplier_a, from.count), copy(from.multiplier_b, from.count),
                          copy(from.shift, from.count), from.zero_a, from.zero_b, from.zero_point, from.low, from.high};
}

std::optional<std::array<uint8_t, 256>> read_table(const uint8_t* table) {
  if (table == nullptr) return std::nullopt;
  std::array<uint8_t, 256> result;
  std::memcpy(result.data(), table, 256);
  return result;
}

const Kernels& kernels_of(int isa) { return select_kernels(static_cast<Isa>(isa)); }
NumberType type_of(int type) { return static_cast<NumberType>(type); }

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int isa_is_supported(int isa) { return is_supported(static_cast<Isa>(isa)) ? 1 : 0; }

EXPORT const RowKernel* make_linear(int isa, int64_t inputs, int64_t outputs, int input_type, const void* weights,
                                    int weight_type, const int32_t* bias, Factors requantization,
                                    const uint8_t* table, int table_output, Addition addition, int second_type,
                                    int output_type) {
  LinearSpec spec;
  spec.inputs = inputs;
  spec.outputs = outputs;
  spec.input_type = type_of(input_type);
  spec.weights = weights;
  spec.weight_type = type_of(weight_type);
  spec.bias = copy(bias, outputs);
  spec.requantization = read(requantization);
  spec.table = read_table(table);
  spec.table_output = type_of(table_output);
  spec.addition = read(addition);
  spec.second_type = type_of(second_type);
  spec.output_type = type_of(output_type);
  return kernels_of(isa).linear(spec).release();
}

EXPORT const RowKernel* make_requantize(int isa, int64_t columns, int input_type, int output_type, Factors factors) {
  return kernels_of(isa).requantize({columns, type_of(input_type), type_of(output_type), *read(factors)}).release();
}

EXPORT const RowKernel* make_rescaled_add(int isa, int64_t columns, int a_type, int b_type, int output_type,
                                          Addition addition) {
  return kernels_of(isa)
      .rescaled_add({columns, type_of(a_type), type_of(b_type), type_of(output_type), *read(addition)})
      .release();
}

EXPORT const RowKernel* make_lookup(int isa, int64_t columns, const uint8_t* table) {
  return kernels_of(isa).lookup({columns, *read_table(table)}).release();
}

EXPORT const RowKernel* make_layer_norm(int isa, int64_t channels, int input_type, int output_type,
                                        const int32_t* channel_shift, const int32_t* multiplier, const int32_t* bias,
                                        const int32_t* shift, int32_t zero_x, int64_t epsilon, int32_t zero_point,
                                        int32_t low, int32_t high) {
  return kernels_of(isa)
      .layer_norm({channels, type_of(input_type), type_of(output_type), copy(channel_shift, channels),
                   copy(multiplier, channels), copy(bias, channels), copy(shift, channels), zero_x, epsilon, zero_point, low,
                   high})
      .release();
}

EXPORT void run_rows(const RowKernel* kernel, int64_t rows, Matrix x, Matrix second, Matrix out) {
  kernel->run(rows, {x.data, x.row_stride}, {second.data, second.row_stride}, {out.data, out.row_stride});
}

EXPORT void free_rows(const RowKernel* kernel) { delete kernel; }

struct Head {
  int64_t keys, depth, value_depth;
  int32_t query_type, key_type, value_type, zero_query, zero_key, zero_value, has_addend, kind;
  int32_t pre_shift, multiplier, shift, log2_rounding, value_bits, fraction_bits, output_type, table_entries;
  const int16_t* table;
  Factors scores, output;
};

EXPORT void run_attention(int isa, const Head* head, int64_t rows, Matrix q, Matrix k, Matrix v, Matrix addend, Matrix out) {
  AttentionSpec spec;
  spec.keys = head->keys;
  spec.depth = head->depth;
  spec.value_depth = head->value_depth;
  spec.query_type = type_of(head->query_type);
  spec.key_type = type_of(head->key_type);
  spec.value_type = type_of(head->value_type);
  spec.zero_query = head->zero_query;
  spec.zero_key = head->zero_key;
  spec.zero_value = head->zero_value;
  spec.has_addend = head->has_addend != 0;
  spec.score_requantization = read(head->scores);
  spec.kind = static_cast<AttentionKind>(head->kind);
  spec.factor = {head->pre_shift, head->multiplier, head->shift};
  spec.log2_rounding = head->log2_rounding;
  spec.table.assign(head->table, head->table + head->table_entries);
  spec.value_bits = head->value_bits;
  spec.fraction_bits = head->fraction_bits;
  spec.requantization = read(head->output);
  spec.output_type = type_of(head->output_type);
  const auto attention = kernels_of(isa).attention(spec);
  void* packed = ::operator new(attention->packed_bytes(), std::align_val_t{64});
  attention->pack({k.data, k.row_stride}, {v.data, v.row_stride}, packed);
  attention->run(rows, {q.data, q.row_stride}, packed, {addend.data, addend.row_stride}, {out.data, out.row_stride});
  ::operator delete(packed, std::align_val_t{64});
}
