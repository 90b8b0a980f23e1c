// One step of a plan: what the executor runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "view.h"

namespace fullint {

// A step computes one tensor of one image from others. It has a number of units (rows, heads, ...)
// which may be computed in any order, on any threads, each exactly once; the result does not depend
// on how they are divided. It keeps nothing between runs, so one step serves many threads.
class Step {
 public:
  Step(std::string kind, std::vector<View> inputs, View output)
      : kind_(std::move(kind)), inputs_(std::move(inputs)), output_(std::move(output)) {}
  virtual ~Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  const std::string& kind() const { return kind_; }
  const std::vector<View>& inputs() const { return inputs_; }
  const View& output() const { return output_; }

  virtual std::int64_t units() const = 0;
  // Threads get multiples of so many units.
  virtual std::int64_t granularity() const { return 1; }
  // Bytes each thread needs while it runs the step; aligned to 64 bytes.
  virtual std::size_t scratch_bytes() const { return 0; }
  // While planning: nothing behind byte `end` of the output's buffer is ever read, so what lies there may be left out.
  virtual void leave_out_from(std::int64_t end) { static_cast<void>(end); }
  // First byte of an input's buffer behind all that the step reads.
  virtual std::int64_t reads_to(std::size_t input) const { return inputs_[input].end(); }
  // Compute units [begin, end).
  virtual void run(const Memory& memory, std::byte* scratch, std::int64_t begin, std::int64_t end) const = 0;
  // Multiplications and additions of the matrix products in it, for the profile.
  virtual std::int64_t operations() const { return 0; }
  // Bytes of packed weights and constants it keeps.
  virtual std::size_t held_bytes() const { return 0; }
  // Bytes it reads and writes at least: every operand once. For the profile.
  std::int64_t moved_bytes() const;

 private:
  std::string kind_;
  std::vector<View> inputs_;
  View output_;
};

}  // namespace fullint
