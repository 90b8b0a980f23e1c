// Linear layers against the core's peak: FULLINT_ISA chooses the instruction set.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench.h"
#include "kernels.h"

using namespace fullint;

namespace {

struct Shape {
  const char* name;
  int64_t rows, inputs, outputs;
  enum End { accumulators, bytes, table, words, residual } end;
};

const Shape shapes[] = {
    {"tiny qkv", 197, 192, 576, Shape::bytes},     {"tiny proj + residual", 197, 192, 192, Shape::residual},
    {"tiny fc1 + table", 197, 192, 768, Shape::table}, {"tiny fc2 + residual", 197, 768, 192, Shape::residual},
    {"small qkv", 197, 384, 1152, Shape::bytes},   {"small fc1 + table", 197, 384, 1536, Shape::table},
    {"small fc2 + residual", 197, 1536, 384, Shape::residual}, {"base fc2 + residual", 197, 3072, 768, Shape::residual},
    {"patches", 196, 768, 192, Shape::words},      {"half of tiny qkv", 99, 192, 576, Shape::bytes},
    {"head", 1, 192, 1000, Shape::accumulators},
};

LinearSpec specification(const Shape& shape, const std::vector<int8_t>& weights) {
  LinearSpec spec;
  spec.inputs = shape.inputs;
  spec.outputs = shape.outputs;
  spec.weights = weights.data();
  spec.bias = bench::random_numbers<int32_t>(static_cast<size_t>(shape.outputs), -1000, 1000);
  if (shape.end == Shape::accumulators) return spec;
  const bool words = shape.end == Shape::words || shape.end == Shape::residual;
  Requantization factors;
  factors.pre_shift = {4};
  factors.multiplier = {20000};
  factors.shift = {words ? 15 : 22};
  factors.zero_point = words ? 0 : 100;
  factors.low = words ? -32768 : 0;
  factors.high = words ? 32767 : 255;
  spec.requantization = factors;
  spec.output_type = words ? NumberType::s16 : NumberType::u8;
  if (shape.end == Shape::table) {
    spec.table.emplace();
    for (size_t i = 0; i < 256; ++i) (*spec.table)[i] = static_cast<uint8_t>(255 - i);
  }
  if (shape.end == Shape::residual) spec.addition = RescaledAddition{{1}, {1}, {0}, 0, 0, 0, -32768, 32767};
  return spec;
}

// The portable kernel, which validate.py compares with the specification, must agree before anything is timed.
bool agrees(const RowKernel& kernel, const LinearSpec& spec, int64_t rows, ConstRows x, ConstRows second) {
  const size_t bytes = static_cast<size_t>(rows * spec.outputs * size_of(spec.output_type));
  std::vector<char> expected(bytes), found(bytes);
  select_kernels(Isa::portable).linear(spec)->run(rows, x, second, {expected.data(), spec.outputs});
  kernel.run(rows, x, second, {found.data(), spec.outputs});
  return std::memcmp(expected.data(), found.data(), bytes) == 0;
}

std::vector<int8_t> random_weights(const Shape& shape, bool four_bit) {
  const int8_t low = four_bit ? -8 : -127, high = four_bit ? 7 : 127;
  return bench::random_numbers<int8_t>(static_cast<size_t>(shape.inputs * shape.outputs), low, high);
}

// The linear layers of DeiT-tiny one after the other, each with weights of its own: 5.3 MB, more than the second-level cache.
void time_model(Isa isa, bool four_bit) {
  constexpr int blocks = 12;
  const auto numbers = bench::random_numbers<uint8_t>(197 * 768 + 64, 0, 255);
  const uint8_t* x = numbers.data() + (64 - reinterpret_cast<uintptr_t>(numbers.data()) % 64) % 64;
  const auto second = bench::random_numbers<int16_t>(197 * 192, -9999, 9999);
  std::vector<int32_t> out(197 * 768);
  std::vector<std::unique_ptr<const RowKernel>> kernels;
  for (int layer = 0; layer < 4 * blocks; ++layer) {
    const Shape& shape = shapes[layer % 4];
    const auto weights = random_weights(shape, four_bit);
    kernels.push_back(select_kernels(isa).linear(specification(shape, weights)));
  }
  const double seconds = bench::median_seconds(
      [&] {
        for (size_t layer = 0; layer < kernels.size(); ++layer) {
          const Shape& shape = shapes[layer % 4];
          kernels[layer]->run(shape.rows, {x, shape.inputs}, {second.data(), shape.outputs}, {out.data(), shape.outputs});
        }
      },
      1);
  std::printf("%s, the %zu linear layers of DeiT-tiny in turn: %.0f us\n", name_of(isa), kernels.size(), 1e6 * seconds);
}

}  // namespace

int main(int count, char** arguments) {
  const auto given = [&](const char* option) {
    return std::any_of(arguments + 1, arguments + count, [&](const char* word) { return std::strcmp(word, option) == 0; });
  };
  const bool four_bit = given("--four-bit");
  const Isa isa = choose_isa();
  if (given("--model")) return time_model(isa, four_bit), EXIT_SUCCESS;
  const double peak = isa == Isa::amx ? bench::peak_amx() : isa == Isa::avx512vnni ? bench::peak_avx512vnni() : bench::peak_avx2();
  std::printf("%s: register-only peak %.2f TOPS a core\n", name_of(isa), 2e-12 * peak);
  std::printf("%-24s %16s %10s %10s %8s %8s\n", "layer", "rows x K x O", "us", "limit us", "TOPS", "of peak");
  for (const Shape& shape : shapes) {
    const auto weights = random_weights(shape, four_bit);
    const auto numbers = bench::random_numbers<uint8_t>(static_cast<size_t>(shape.rows * shape.inputs + 64), 0, 255);
    const uint8_t* x = numbers.data() + (64 - reinterpret_cast<uintptr_t>(numbers.data()) % 64) % 64;  // as in an arena
    const auto second = bench::random_numbers<int16_t>(static_cast<size_t>(shape.rows * shape.outputs), -9999, 9999);
    std::vector<int32_t> room(static_cast<size_t>(shape.rows * shape.outputs + 16));
    int32_t* out = room.data() + (64 - reinterpret_cast<uintptr_t>(room.data()) % 64) % 64 / 4;
    const LinearSpec spec = specification(shape, weights);
    const auto kernel = select_kernels(isa).linear(spec);
    const ConstRows inputs{x, shape.inputs}, others{second.data(), shape.outputs};
    if (!agrees(*kernel, spec, shape.rows, inputs, others)) {
      std::printf("%s differs from the portable kernel\n", shape.name);
      return EXIT_FAILURE;
    }
    const double seconds =
        bench::median_seconds([&] { kernel->run(shape.rows, inputs, others, {out, shape.outputs}); });
    const double products = static_cast<double>(shape.rows * shape.inputs * shape.outputs);
    char size[64];
    std::snprintf(size, sizeof size, "%ldx%ldx%ld", long(shape.rows), long(shape.inputs), long(shape.outputs));
    std::printf("%-24s %16s %10.1f %10.1f %8.2f %7.0f%%\n", shape.name, size, 1e6 * seconds, 1e6 * products / peak,
                2e-12 * products / seconds, 100 * products / seconds / peak);
  }
}
