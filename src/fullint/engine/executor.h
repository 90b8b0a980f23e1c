// Runs a plan on images.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "plan/plan.h"
#include "thread_pool.h"

namespace fullint {

// Time and work of one step for one image.
struct StepProfile {
  std::string kind;
  double seconds = 0;           // the median over some images
  std::int64_t operations = 0;  // of the matrix products
  std::int64_t bytes = 0;       // read and written at least
};

class Executor {
 public:
  Executor(Plan plan, int threads);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // pixels: `images` images in order, uint8; logits: int32, in order. Any number of threads may
  // call at once.
  void run(const std::uint8_t* pixels, std::int64_t images, std::int32_t* logits) const;

  // The same on this thread alone, with a clock around every step.
  std::vector<StepProfile> profile(const std::uint8_t* pixels, std::int64_t images) const;

  std::int64_t classes() const { return plan_.output.row_length(); }
  std::size_t pixel_bytes() const { return plan_.pixel_bytes; }
  std::size_t arena_bytes() const { return plan_.arena_bytes; }
  std::size_t held_bytes() const { return plan_.held_bytes(); }
  std::size_t steps() const { return plan_.steps.size(); }
  int threads() const { return threads_; }

 private:
  class Workspace;
  class Lease;
  class ImageQueue;

  void run_whole(ImageQueue& queue, const Lease& lease, const std::uint8_t* pixels, std::int32_t* logits) const;
  void run_shared(const Memory& memory, std::byte* scratch, int index, SharedWork& work) const;
  void store_logits(const Memory& memory, std::int32_t* logits) const;

  Plan plan_;
  int threads_;
  mutable std::vector<std::unique_ptr<Workspace>> idle_;  // under the fork lock
};

}  // namespace fullint
