// Steps that move elements: copies between views, and sums over axes.
#pragma once

#include <memory>
#include <utility>

#include "../program.h"
#include "../step.h"

namespace fullint {

// Copies each source onto the destination beside it; types and shapes are equal in each pair.
// `whole` is the view all destinations are parts of.
std::unique_ptr<Step> make_copy_step(const std::string& kind, std::vector<std::pair<View, View>> pieces,
                                     const View& whole);

// The rectangles a roll moves: pairs of parts of x and of the output.
std::vector<std::pair<View, View>> roll_pieces(const Operation& operation, const View& x, const View& output);

std::unique_ptr<Step> make_sum_step(const Operation& operation, const View& x, const View& output);

}  // namespace fullint
