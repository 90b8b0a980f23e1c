// table_softmax that stands alone: any shapes and strides, levels of any size.
#pragma once

#include <memory>
#include <vector>

#include "../program.h"
#include "../step.h"

namespace fullint {

// `inputs`: scores (..., heads, rows, columns), pre_shift, multiplier, shift. `table`: (1 or heads, entries), constant.
std::unique_ptr<Step> make_table_softmax_step(const std::vector<View>& inputs, const Tensor& table, const View& output);

}  // namespace fullint
