// Plain C functions around the kernels in rows/ and long tables, for validate.py. Attributes come as arrays, in the order in
// which they are read here.
#include "kernels.h"

using namespace fullint;

namespace {

struct Matrix {
  char* data;
  int64_t row_stride;  // elements
};

std::vector<int32_t> copy(const int32_t* values, int64_t count) { return {values, values + count}; }
const Kernels& kernels_of(int isa) { return select_kernels(static_cast<Isa>(isa)); }
NumberType type_of(int type) { return static_cast<NumberType>(type); }

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

// scores (rows, columns) s32, which are overwritten, to results u16.
EXPORT void run_row_softmax(int isa, int kind, const int32_t* at, int64_t rows, int64_t columns, Matrix scores,
                            Matrix results) {
  RowSoftmax softmax;
  softmax.kind = static_cast<RowSoftmaxKind>(kind);
  const ScalarFactor factor{at[0], at[1], at[2]};
  softmax.zero_point = at[3];
  softmax.fraction_bits = at[4];
  softmax.octaves = at[5];
  softmax.natural = at[6];
  softmax.rounding = at[7];
  softmax.output_bits = at[8];
  softmax.group = at[9];
  softmax.quotients[0] = at[10];
  softmax.quotients[1] = at[11];
  const auto function = kernels_of(isa).row_softmax(softmax.kind);
  for (int64_t row = 0; row < rows; ++row)
    function(softmax, factor, columns, reinterpret_cast<int32_t*>(scores.data) + row * scores.row_stride,
             reinterpret_cast<uint16_t*>(results.data) + row * results.row_stride);
}

EXPORT const RowKernel* make_row_norm(int isa, int kind, const int32_t* at, int64_t epsilon, int64_t channels, int input_type,
                                      int output_type, const int32_t* channel_shift, const int32_t* multiplier,
                                      const int32_t* bias, const int32_t* shift) {
  LayerNormSpec spec{channels, type_of(input_type), type_of(output_type), copy(channel_shift, channels),
                     copy(multiplier, channels), copy(bias, channels), copy(shift, channels), at[0], epsilon, at[1], at[2],
                     at[3]};
  return kernels_of(isa).row_norm(spec, {static_cast<RowNormKind>(kind), at[4], at[5], at[6], at[7]}).release();
}

EXPORT const RowKernel* make_row_gelu(int isa, int kind, const int32_t* at, int64_t columns, int input_type, int output_type) {
  RowGelu gelu;
  gelu.kind = static_cast<RowGeluKind>(kind);
  gelu.factor = {at[0], at[1], at[2]};
  gelu.output_factor = {at[3], at[4], at[5]};
  gelu.zero_x = at[6];
  gelu.zero_point = at[7];
  gelu.low = at[8];
  gelu.high = at[9];
  gelu.edge = at[10];
  gelu.unit = at[11];
  gelu.gate_shift = at[12];
  gelu.fraction_bits = at[13];
  gelu.octaves = at[14];
  gelu.natural = at[15];
  gelu.rounding = at[16];
  gelu.row_maximum = at[17];
  gelu.gate_bits = at[18];
  return kernels_of(isa).row_gelu({columns, type_of(input_type), type_of(output_type)}, gelu).release();
}

EXPORT const RowKernel* make_word_lookup(int isa, int64_t columns, int input_type, int output_type, int offset,
                                         const int16_t* table, int64_t entries) {
  return kernels_of(isa)
      .word_lookup({{columns, type_of(input_type), type_of(output_type)}, offset, {table, table + entries}})
      .release();
}
