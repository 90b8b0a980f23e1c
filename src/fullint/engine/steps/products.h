// Matrix products of any shapes, strides and number types: correct everywhere, fast nowhere.
#pragma once

#include <memory>

#include "../program.h"
#include "../step.h"

namespace fullint {

// matmul, shift_matmul and weighted_average.
std::unique_ptr<Step> make_matmul_step(const Operation& operation, const View& a, const View& b, const View& output);

}  // namespace fullint
