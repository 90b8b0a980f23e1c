// Functions of one number as tables: what can be a lookup is one, whatever the program says it is computed by.
#pragma once

#include <memory>
#include <vector>

#include "../program.h"

namespace fullint {

struct TabulatedProgram {
  Program program;
  std::vector<std::unique_ptr<std::int32_t[]>> tables;  // that the program's new constants point to
};

TabulatedProgram tabulated(const Program& program);

}  // namespace fullint
