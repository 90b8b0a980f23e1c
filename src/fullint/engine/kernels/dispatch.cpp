#include <stdexcept>

#include "vector_kernels.h"

namespace fullint {
namespace detail {

const InstructionSet* instruction_set(Isa isa) {
  switch (isa) {
#ifdef FULLINT_WITH_AVX2
    case Isa::avx2:
      return &instruction_set_avx2;
#endif
#ifdef FULLINT_WITH_AVX512VNNI
    case Isa::avx512vnni:
      return &instruction_set_avx512vnni;
#endif
#ifdef FULLINT_WITH_AMX
    case Isa::amx:
      return &instruction_set_amx;
#endif
    default:
      return nullptr;
  }
}

const RowFunctions& row_functions(Isa isa) {
  switch (isa) {
#ifdef FULLINT_WITH_AVX2
    case Isa::avx2:
      return row_functions_avx2;
#endif
#ifdef FULLINT_WITH_AVX512VNNI
    case Isa::avx512vnni:
    case Isa::amx:
      return row_functions_avx512vnni;
#endif
    default:
      return row_functions_portable;
  }
}

}  // namespace detail

const Kernels& select_kernels(Isa isa) {
  static const Kernels all[] = {{Isa::portable}, {Isa::avx2}, {Isa::avx512vnni}, {Isa::amx}};
  if (!is_supported(isa)) throw std::runtime_error(std::string("kernels for ") + name_of(isa) + " cannot run here");
  return all[static_cast<int>(isa)];
}

}  // namespace fullint
