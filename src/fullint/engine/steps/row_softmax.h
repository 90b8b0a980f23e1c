// A softmax of kernels/rows that stands alone.
#pragma once

#include <memory>
#include <vector>

#include "../kernels/kernels.h"
#include "../step.h"

namespace fullint {

// `inputs`: scores (..., columns), and pre_shift, multiplier, shift, which are the same for all of a row.
std::unique_ptr<Step> make_row_softmax_step(const std::string& kind, const RowSoftmax& softmax,
                                            detail::RowSoftmaxFunction function, const std::vector<View>& inputs,
                                            const View& output);

}  // namespace fullint
