// LayerNorms, residual addition, requantization, table lookups, a GELU and softmaxes: cycles are few, so bytes a second tell how far off memory is.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench.h"
#include "kernels.h"

using namespace fullint;

namespace {

constexpr int64_t rows = 197, columns = 384;

struct Job {
  const char* name;
  std::unique_ptr<const RowKernel> (*make)(const Kernels&);
  NumberType x_type, output_type;
};

std::unique_ptr<const RowKernel> layer_norm(const Kernels& kernels) {
  LayerNormSpec spec;
  spec.channels = columns;
  spec.channel_shift = {0};
  spec.multiplier = {20000};
  spec.bias = {1000};
  spec.shift = {20};
  spec.epsilon = 1000;
  spec.zero_point = 128;
  spec.high = 255;
  return kernels.layer_norm(spec);
}

std::unique_ptr<const RowKernel> residual(const Kernels& kernels) {
  return kernels.rescaled_add({columns, NumberType::s16, NumberType::s16, NumberType::s16,
                               RescaledAddition{{1}, {1}, {0}, 0, 0, 0, -32768, 32767}});
}

std::unique_ptr<const RowKernel> requantize(const Kernels& kernels) {
  return kernels.requantize({columns, NumberType::s32, NumberType::u8, Requantization{{4}, {20000}, {22}, 16, 128, 0, 255}});
}

std::unique_ptr<const RowKernel> lookup(const Kernels& kernels) {
  LookupSpec spec;
  spec.columns = columns;
  for (size_t i = 0; i < 256; ++i) spec.table[i] = static_cast<uint8_t>(i * 7);
  return kernels.lookup(spec);
}

LayerNormSpec short_norm() {
  LayerNormSpec spec;
  spec.channels = columns;
  spec.input_type = NumberType::u8;
  spec.channel_shift = {1};
  spec.multiplier = {90};
  spec.bias = {1000};
  spec.shift = {10};
  spec.zero_x = 128;
  spec.epsilon = 16;
  spec.zero_point = 128;
  spec.high = 255;
  return spec;
}

std::unique_ptr<const RowKernel> ailayernorm(const Kernels& kernels) {
  return kernels.row_norm(short_norm(), {RowNormKind::ailayernorm, 3, 0, 0, 0});
}

std::unique_ptr<const RowKernel> i_layernorm(const Kernels& kernels) {
  return kernels.row_norm(short_norm(), {RowNormKind::i_layernorm, 0, 4, 0, 4});
}

std::unique_ptr<const RowKernel> shiftgelu(const Kernels& kernels) {
  RowGelu gelu;
  gelu.kind = RowGeluKind::shiftgelu;
  gelu.factor = {0, 20000, 13};
  gelu.output_factor = {0, 20000, 22};
  gelu.zero_x = gelu.zero_point = 128;
  gelu.high = 255;
  gelu.fraction_bits = 3;
  gelu.octaves = 23;
  gelu.natural = gelu.row_maximum = 1;
  gelu.gate_bits = 8;
  return kernels.row_gelu({columns, NumberType::u8, NumberType::u8}, gelu);
}

std::unique_ptr<const RowKernel> word_lookup(const Kernels& kernels) {
  WordLookupSpec spec{{columns, NumberType::s16, NumberType::s16}, INT16_MIN, {}};
  for (int32_t i = 0; i < 65536; ++i) spec.table.push_back(static_cast<int16_t>(i * 7));
  return kernels.word_lookup(spec);
}

// A softmax alone, of rows that stay in the cache; copying the scores, which it overwrites, is part of the time.
void bench_softmax(const char* name, const Kernels& kernels, RowSoftmax softmax) {
  constexpr int64_t keys = 197;
  auto scores = bench::random_numbers<int32_t>(static_cast<size_t>(keys), -20000, 20000);
  std::vector<int32_t> work(scores.size());
  std::vector<uint16_t> results(scores.size());
  const auto function = kernels.row_softmax(softmax.kind);
  const double seconds = bench::median_seconds([&] {
    for (int row = 0; row < 64; ++row) {
      std::memcpy(work.data(), scores.data(), scores.size() * 4);
      function(softmax, {0, 20000, 22}, keys, work.data(), results.data());
    }
  });
  std::printf("%-24s %8.2f %10.3f\n", name, 1e6 * seconds / 64, 1e9 * seconds / (64 * keys));
}

void bench_softmaxes(const Kernels& kernels) {
  RowSoftmax softmax;
  softmax.zero_point = 128;
  softmax.quotients[0] = 209;
  softmax.quotients[1] = 145;
  bench_softmax("e2softmax, online", kernels, softmax);
  softmax.group = 197;
  bench_softmax("e2softmax, whole rows", kernels, softmax);
  softmax.group = 16;
  softmax.kind = RowSoftmaxKind::itamax;
  bench_softmax("itamax", kernels, softmax);
  softmax.kind = RowSoftmaxKind::shiftmax;
  softmax.fraction_bits = 4;
  softmax.octaves = 12;
  bench_softmax("shiftmax", kernels, softmax);
}

const Job jobs[] = {{"layer_norm s16 -> u8", layer_norm, NumberType::s16, NumberType::u8},
                    {"rescaled_add s16", residual, NumberType::s16, NumberType::s16},
                    {"requantize s32 -> u8", requantize, NumberType::s32, NumberType::u8},
                    {"lookup u8", lookup, NumberType::u8, NumberType::u8},
                    {"lookup s16", word_lookup, NumberType::s16, NumberType::s16},
                    {"ailayernorm u8", ailayernorm, NumberType::u8, NumberType::u8},
                    {"i_layernorm u8", i_layernorm, NumberType::u8, NumberType::u8},
                    {"shiftgelu of rows u8", shiftgelu, NumberType::u8, NumberType::u8}};

}  // namespace

int main() {
  const Isa isa = choose_isa();
  const auto x = bench::random_numbers<int32_t>(static_cast<size_t>(rows * columns), INT32_MIN / 4, INT32_MAX / 4);
  std::vector<char> expected(static_cast<size_t>(rows * columns * 4)), out(expected.size());
  const double copy_seconds = bench::median_seconds([&] { std::memcpy(out.data(), x.data(), out.size()); });
  std::printf("%s, %ld rows of %ld; copying within the cache: %.1f GB/s\n", name_of(isa), long(rows), long(columns),
              1e-9 * 2 * static_cast<double>(out.size()) / copy_seconds);
  std::printf("%-24s %8s %10s %8s\n", "kernel", "us", "ns/element", "GB/s");
  for (const Job& job : jobs) {
    std::fill(out.begin(), out.end(), 0);
    std::fill(expected.begin(), expected.end(), 0);
    const ConstRows from{x.data(), columns}, second{x.data(), columns};
    job.make(select_kernels(Isa::portable))->run(rows, from, second, {expected.data(), columns});
    const auto kernel = job.make(select_kernels(isa));
    kernel->run(rows, from, second, {out.data(), columns});
    if (out != expected) {
      std::printf("%s differs from the portable kernel\n", job.name);
      return EXIT_FAILURE;
    }
    const double seconds = bench::median_seconds([&] { kernel->run(rows, from, second, {out.data(), columns}); });
    const double bytes = static_cast<double>(rows * columns * (size_of(job.x_type) + size_of(job.output_type)));
    std::printf("%-24s %8.2f %10.3f %8.1f\n", job.name, 1e6 * seconds, 1e9 * seconds / (rows * columns), 1e-9 * bytes / seconds);
  }
  bench_softmaxes(select_kernels(isa));
}
