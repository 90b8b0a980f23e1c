#include "isa.h"

#include <cstdint>
#include <cstdlib>
#include <stdexcept>

#if defined(FULLINT_WITH_AVX2) || defined(FULLINT_WITH_AVX512VNNI) || defined(FULLINT_WITH_AMX)
#define FULLINT_X86 1
#ifdef _MSC_VER
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif
#if defined(FULLINT_WITH_AMX) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace fullint {
namespace {

#ifdef FULLINT_X86
struct CpuidResult {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuidResult cpuid(uint32_t leaf) {
  CpuidResult result;
#ifdef _MSC_VER
  int registers[4];
  __cpuidex(registers, static_cast<int>(leaf), 0);
  result = {uint32_t(registers[0]), uint32_t(registers[1]), uint32_t(registers[2]), uint32_t(registers[3])};
#else
  __get_cpuid_count(leaf, 0, &result.eax, &result.ebx, &result.ecx, &result.edx);
#endif
  return result;
}

// Which register states the operating system saves (XCR0).
uint64_t saved_states() {
  const bool has_xgetbv = cpuid(1).ecx >> 27 & 1;
  if (!has_xgetbv) return 0;
#ifdef _MSC_VER
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
#endif
}

bool all_bits(uint64_t value, uint64_t bits) { return (value & bits) == bits; }

bool cpu_has_avx2() { return all_bits(saved_states(), 0x6) && (cpuid(7).ebx >> 5 & 1); }

bool cpu_has_avx512vnni() {
  const CpuidResult features = cpuid(7);
  const uint32_t f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
  const bool vnni = features.ecx >> 11 & 1;
  return cpu_has_avx2() && all_bits(saved_states(), 0xe6) && all_bits(features.ebx, f_dq_bw_vl) && vnni;
}

bool cpu_has_amx() {
  const uint32_t tile_int8 = 1u << 24 | 1u << 25;
  const bool vbmi = cpuid(7).ecx >> 1 & 1;
  return cpu_has_avx512vnni() && vbmi && all_bits(saved_states(), 0x60000) && all_bits(cpuid(7).edx, tile_int8);
}
#endif

// Linux hands out the 8 KiB of tile state only to processes that ask.
bool request_tile_permission() {
#if defined(FULLINT_WITH_AMX) && defined(__linux__)
  constexpr long arch_request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, arch_request_permission, tile_data) == 0;
#else
  return false;
#endif
}

bool detect(Isa isa) {
  switch (isa) {
    case Isa::portable:
      return true;
#ifdef FULLINT_WITH_AVX2
    case Isa::avx2:
      return cpu_has_avx2();
#endif
#ifdef FULLINT_WITH_AVX512VNNI
    case Isa::avx512vnni:
      return cpu_has_avx512vnni();
#endif
#ifdef FULLINT_WITH_AMX
    case Isa::amx:
      return cpu_has_amx() && request_tile_permission();
#endif
    default:
      return false;
  }
}

constexpr Isa all_isas[] = {Isa::portable, Isa::avx2, Isa::avx512vnni, Isa::amx};

}  // namespace

const char* name_of(Isa isa) {
  constexpr const char* names[] = {"portable", "avx2", "avx512vnni", "amx"};
  return names[static_cast<int>(isa)];
}

bool is_supported(Isa isa) {
  static const bool supported[] = {detect(Isa::portable), detect(Isa::avx2), detect(Isa::avx512vnni), detect(Isa::amx)};
  return supported[static_cast<int>(isa)];
}

std::vector<Isa> supported_isas() {
  std::vector<Isa> result;
  for (Isa isa : all_isas)
    if (is_supported(isa)) result.push_back(isa);
  return result;
}

Isa choose_isa() {
  const std::vector<Isa> supported = supported_isas();
  const char* wanted = std::getenv("FULLINT_ISA");
  if (wanted == nullptr || *wanted == '\0') return supported.back();
  std::string names;
  for (Isa isa : supported) names += (names.empty() ? "" : ", ") + std::string(name_of(isa));
  for (Isa isa : all_isas) {
    if (std::string(wanted) != name_of(isa)) continue;
    if (is_supported(isa)) return isa;
    throw std::runtime_error("FULLINT_ISA=" + std::string(wanted) + " is not available here (this processor and build run " +
                             names + "); unset it or choose one of these");
  }
  throw std::runtime_error("FULLINT_ISA=" + std::string(wanted) + " is no instruction set; choose one of " + names);
}

}  // namespace fullint
