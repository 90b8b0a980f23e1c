// Which instruction set the kernels use.
#pragma once

#include <string>
#include <vector>

namespace fullint {

// Each includes the ones before it.
enum class Isa { portable, avx2, avx512vnni, amx };

const char* name_of(Isa isa);

// Whether this CPU, operating system and build can run it. For AMX this asks the kernel for permission (once a process).
bool is_supported(Isa isa);

// All supported ones, slowest first.
std::vector<Isa> supported_isas();

// The best supported one, or what the environment variable FULLINT_ISA names.
// Throws std::runtime_error with one clear sentence for an unknown or unsupported name.
Isa choose_isa();

}  // namespace fullint
