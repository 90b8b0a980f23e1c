// A plan: the steps that compute a program, and the memory they need.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "../kernels/kernels.h"
#include "../program.h"
#include "../step.h"

namespace fullint {

struct Plan {
  std::vector<std::unique_ptr<Step>> steps;
  View output;
  std::size_t pixel_bytes = 0;
  std::size_t arena_bytes = 0;    // of one image under way
  std::size_t scratch_bytes = 0;  // of one thread
  std::size_t held_bytes() const;
};

// Chooses steps and memory. Nothing of the program, not even its constants, is needed afterwards.
Plan make_plan(const Program& program, const Kernels& kernels);

// Tells every step which rows no later step reads: of the last block of a vision transformer, all but the class token's.
void leave_out_unread(const std::vector<std::unique_ptr<Step>>& steps, const View& output);

// Places buffers in one arena so that those alive at the same time do not overlap; returns its
// size. `output` stays alive to the end.
std::size_t place_buffers(const std::vector<std::unique_ptr<Step>>& steps, const View& output);

}  // namespace fullint
