// Heads of attention: time a head, and the two products' share of the core's peak.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench.h"
#include "kernels.h"

using namespace fullint;

namespace {

struct Shape {
  const char* name;
  int64_t tokens, depth;
  AttentionKind kind;
  bool has_addend;
};

const Shape shapes[] = {
    {"DeiT, 224 pixels", 197, 64, AttentionKind::exponentials, false}, {"DeiT, 384 pixels", 577, 64, AttentionKind::exponentials, false},
    {"Swin window", 49, 32, AttentionKind::exponentials, true},        {"DeiT, softmax", 197, 64, AttentionKind::softmax, false},
    {"DeiT, log2 softmax", 197, 64, AttentionKind::log2_softmax, false}, {"DeiT, table softmax", 197, 64, AttentionKind::table_softmax, false},
};

AttentionSpec specification(const Shape& shape) {
  AttentionSpec spec;
  spec.keys = shape.tokens;
  spec.depth = spec.value_depth = shape.depth;
  spec.kind = shape.kind;
  spec.has_addend = shape.has_addend;
  spec.factor = {2, 20000, 14};
  spec.log2_rounding = 512;
  for (int entry = 0; entry < 16 * 1024; ++entry) spec.table.push_back(static_cast<int16_t>(16384 * std::exp2(-entry / 1024.0)));
  Requantization output;
  output.pre_shift = {shape.kind == AttentionKind::exponentials ? 0 : shape.kind == AttentionKind::table_softmax ? 6 : 4};
  output.multiplier = {20000};
  output.shift = {22};
  output.zero_point = 128;
  output.high = 255;
  spec.requantization = output;
  return spec;
}

}  // namespace

int main() {
  const Isa isa = choose_isa();
  const double peak = isa == Isa::amx ? bench::peak_amx() : isa == Isa::avx512vnni ? bench::peak_avx512vnni() : bench::peak_avx2();
  std::printf("%s: register-only peak %.2f TOPS a core\n", name_of(isa), 2e-12 * peak);
  std::printf("%-20s %8s %6s %9s %9s %14s %12s\n", "head", "tokens", "depth", "pack us", "run us", "products us", "ns/score");
  for (const Shape& shape : shapes) {
    const int64_t stride = 3 * 3 * 64;
    const auto qkv = bench::random_numbers<int8_t>(static_cast<size_t>(shape.tokens * stride), -40, 40);
    const auto addend = bench::random_numbers<int32_t>(static_cast<size_t>(shape.tokens * shape.tokens), -900, 900);
    std::vector<uint8_t> expected(static_cast<size_t>(shape.tokens * shape.depth)), out(expected.size());
    const AttentionSpec spec = specification(shape);
    const ConstRows q{qkv.data(), stride}, k{qkv.data() + 192, stride}, v{qkv.data() + 384, stride};
    const ConstRows addends{addend.data(), shape.tokens};
    double pack_seconds = 0, run_seconds = 0;
    for (Isa each : {Isa::portable, isa}) {
      const auto attention = select_kernels(each).attention(spec);
      std::vector<char> memory(attention->packed_bytes() + 64);
      void* packed = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64);
      attention->pack(k, v, packed);
      attention->run(shape.tokens, q, packed, addends, {(each == isa ? out : expected).data(), shape.depth});
      if (each != isa) continue;
      if (out != expected) {
        std::printf("%s differs from the portable kernel\n", shape.name);
        return EXIT_FAILURE;
      }
      pack_seconds = bench::median_seconds([&] { attention->pack(k, v, packed); });
      run_seconds = bench::median_seconds([&] { attention->run(shape.tokens, q, packed, addends, {out.data(), shape.depth}); });
    }
    const double scores = static_cast<double>(shape.tokens * shape.tokens);
    std::printf("%-20s %8ld %6ld %9.2f %9.2f %14.2f %12.3f\n", shape.name, long(shape.tokens), long(shape.depth),
                1e6 * pack_seconds, 1e6 * run_seconds, 2e6 * scores * static_cast<double>(shape.depth) / peak,
                1e9 * run_seconds / scores);
  }
}
