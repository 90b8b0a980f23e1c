#pragma once

#include <memory>

#include "../step.h"

namespace fullint {

// The usual case: anything onto int32, rows without gaps. Null for all others.
std::unique_ptr<Step> make_add_step(const View& a, const View& b, const View& output);

}  // namespace fullint
