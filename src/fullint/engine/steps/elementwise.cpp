// Elementwise operations on rows of int32; integer/ops/*.py define them.
#include "elementwise.h"

#include <algorithm>
#include <stdexcept>

#include "../kernels/fixed_point.h"

namespace fullint {

using detail::exponential;
using detail::shift_right;

RowFunction add_rows() {
  return [](const std::int32_t* const* in, std::int64_t count, std::int32_t* out) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = in[0][i] + in[1][i];
  };
}

RowFunction requantize_rows(const Operation& operation) {
  const int bits = static_cast<int>(operation.attribute("intermediate_bits"));
  const std::int64_t zero_point = operation.attribute("zero_point");
  const std::int64_t low = operation.attribute("low"), high = operation.attribute("high");
  return [=](const std::int32_t* const* in, std::int64_t count, std::int32_t* out) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t value = detail::requantize(in[0][i], in[1][i], in[2][i], in[3][i], bits);
      out[i] = static_cast<std::int32_t>(std::clamp<std::int64_t>(value + zero_point, low, high));
    }
  };
}

RowFunction rescaled_add_rows(const Operation& operation) {
  const std::int64_t zero_a = operation.attribute("zero_a");
  const std::int64_t zero_b = operation.attribute("zero_b");
  const std::int64_t zero_point = operation.attribute("zero_point");
  const std::int64_t low = operation.attribute("low"), high = operation.attribute("high");
  return [=](const std::int32_t* const* in, std::int64_t count, std::int32_t* out) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t weighted = (in[0][i] - zero_a) * in[2][i] + (in[1][i] - zero_b) * in[3][i];
      const std::int64_t value = shift_right(weighted, in[4][i]) + zero_point;
      out[i] = static_cast<std::int32_t>(std::clamp<std::int64_t>(value, low, high));
    }
  };
}

RowFunction lookup_rows(const Operation& operation, const Tensor& x, const Tensor& table) {
  const std::int64_t offset = operation.attribute("offset");
  if (table.shape.size() != 1 || x.low < offset || x.high - offset >= table.shape[0]) {
    throw std::invalid_argument("lookup: the table does not cover its input");
  }
  std::vector<std::int32_t> entries(table.shape[0]);
  load_row(static_cast<const std::byte*>(table.data), table.type, 0, 1, table.shape[0], entries.data());
  return [=](const std::int32_t* const* in, std::int64_t count, std::int32_t* out) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = entries[in[0][i] - offset];
  };
}

namespace {

// Distance of every score below the row's maximum, in steps of 2^-10 octaves.
void distances_below_maximum(const std::int32_t* const* in, std::int64_t count, std::int32_t* out) {
  const std::int64_t maximum = *std::max_element(in[0], in[0] + count);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t scaled = detail::requantize(maximum - in[0][i], in[1][i], in[2][i], in[3][i], 16);
    out[i] = static_cast<std::int32_t>(std::min<std::int64_t>(scaled, 32767));
  }
}

}  // namespace

RowFunction exponentials_rows() {
  return [](const std::int32_t* const* in, std::int64_t count, std::int32_t* out) {
    distances_below_maximum(in, count, out);
    for (std::int64_t i = 0; i < count; ++i) {
      out[i] = (exponential(out[i], detail::exponential_codes) + 128) >> 8;
    }
  };
}

RowFunction softmax_rows() {
  return [](const std::int32_t* const* in, std::int64_t count, std::int32_t* out) {
    distances_below_maximum(in, count, out);
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      out[i] = exponential(out[i], detail::exponential_15_bits);
      sum += out[i];
    }
    const auto inverse = detail::reciprocal(sum);
    const std::int64_t factor = (std::int64_t{inverse.mantissa} * 255) >> 8;
    for (std::int64_t i = 0; i < count; ++i) {
      out[i] = static_cast<std::int32_t>(shift_right(out[i] * factor, inverse.exponent - 8));
    }
  };
}

void softmax_logarithms(const std::int32_t* const* in, std::int64_t count, std::int32_t* out) {
  distances_below_maximum(in, count, out);
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    sum += exponential(out[i], detail::exponential_15_bits);
  }
  const std::int32_t log2_sum = detail::log2_fixed_10(sum) - (15 << 10);
  for (std::int64_t i = 0; i < count; ++i) out[i] += log2_sum;
}

RowFunction log2_softmax_rows(const Operation& operation) {
  const std::int64_t rounding = operation.attribute("rounding");
  return [rounding](const std::int32_t* const* in, std::int64_t count, std::int32_t* out) {
    softmax_logarithms(in, count, out);
    for (std::int64_t i = 0; i < count; ++i) {
      out[i] = static_cast<std::int32_t>(std::clamp<std::int64_t>((out[i] + rounding) >> 10, 0, 15));
    }
  };
}

RowFunction find_row_function(const Operation& operation, const std::vector<Tensor>& tensors) {
  const std::string& kind = operation.kind;
  if (kind == "add") return add_rows();
  if (kind == "requantize") return requantize_rows(operation);
  if (kind == "rescaled_add") return rescaled_add_rows(operation);
  if (kind == "lookup") {
    return lookup_rows(operation, tensors[operation.inputs[0]], tensors[operation.inputs[1]]);
  }
  if (kind == "exponentials") return exponentials_rows();
  if (kind == "softmax") return softmax_rows();
  if (kind == "log2_softmax") return log2_softmax_rows(operation);
  return nullptr;
}

}  // namespace fullint
