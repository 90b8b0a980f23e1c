// Steps that run a kernel over the rows of their views.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "../kernels/kernels.h"
#include "../step.h"

namespace fullint {

// Whether a row kernel can take these views as they are: no gaps within rows, and rows that lie
// evenly spaced over long enough stretches (`shortest_run` rows).
bool suits_row_kernel(const View& view, std::int64_t shortest_run = 1);

// Rows of x, second and output correspond in their order. `operations`: of the matrix product, for the profile.
std::unique_ptr<Step> make_kernel_step(const std::string& kind, std::unique_ptr<const RowKernel> kernel, const View& x,
                                       const std::optional<View>& second, const View& output,
                                       std::int64_t operations = 0);

}  // namespace fullint
