// LayerNorm, residual addition, requantization and table lookup: cycles are few, so bytes a second tell how far off memory is.
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

const Job jobs[] = {{"layer_norm s16 -> u8", layer_norm, NumberType::s16, NumberType::u8},
                    {"rescaled_add s16", residual, NumberType::s16, NumberType::s16},
                    {"requantize s32 -> u8", requantize, NumberType::s32, NumberType::u8},
                    {"lookup u8", lookup, NumberType::u8, NumberType::u8}};

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
}
