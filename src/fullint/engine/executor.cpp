#include "executor.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <utility>

#include "fork_lock.h"
#include "kernels/large_pages.h"
#include "rows.h"

namespace fullint {

namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kMostIdleWorkspaces = 16;

// Images that a thread takes through each step together, so that weights which come from the third-level cache come once
// for all of them. More images than two gain 1 % at best, and leave no room for the weights of wider models.
constexpr std::int64_t kImagesAtOnce = 2;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

// Aligned memory of one thread: scratch, and an arena for each image under way. What is not used is never touched.
class Executor::Workspace {
 public:
  Workspace(std::size_t arena_bytes, std::size_t scratch_bytes)
      : arena_bytes_(aligned(arena_bytes)),
        memory_(detail::allocate_large(kImagesAtOnce * arena_bytes_ + scratch_bytes)) {}
  std::byte* arena(std::int64_t index) const { return memory_.get() + index * arena_bytes_; }
  std::byte* scratch() const { return arena(kImagesAtOnce); }

 private:
  std::size_t arena_bytes_;
  std::shared_ptr<std::byte> memory_;
};

// A workspace taken from the idle ones, and given back.
class Executor::Lease {
 public:
  explicit Lease(const Executor& executor) : executor_(executor) {
    {
      const std::lock_guard<std::mutex> lock(fork_lock());
      if (!executor.idle_.empty()) {
        workspace_ = std::move(executor.idle_.back());
        executor.idle_.pop_back();
      }
    }
    if (!workspace_) {
      workspace_ = std::make_unique<Workspace>(executor.plan_.arena_bytes, executor.plan_.scratch_bytes);
    }
  }
  ~Lease() {
    const std::lock_guard<std::mutex> lock(fork_lock());
    if (executor_.idle_.size() < kMostIdleWorkspaces) {
      executor_.idle_.push_back(std::move(workspace_));
    }
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  std::byte* arena(std::int64_t index = 0) const { return workspace_->arena(index); }
  std::byte* scratch() const { return workspace_->scratch(); }

 private:
  const Executor& executor_;
  std::unique_ptr<Workspace> workspace_;
};

Executor::Executor(Plan plan, int threads) : plan_(std::move(plan)), threads_(std::max(threads, 1)) {}

Executor::~Executor() = default;

// Hands out images, a few at a time, but no thread more than its share of those that are left.
class Executor::ImageQueue {
 public:
  ImageQueue(std::int64_t images, int threads) : images_(images), threads_(threads) {}

  // First image and how many; none when all are given out.
  std::pair<std::int64_t, std::int64_t> take() {
    std::int64_t first = next_.load(), count;
    do {
      const std::int64_t left = images_ - first;
      count = std::min({left, std::max<std::int64_t>(left / threads_, 1), kImagesAtOnce});
    } while (!next_.compare_exchange_weak(first, first + count));
    return {first, count};
  }

 private:
  std::int64_t images_;
  int threads_;
  std::atomic<std::int64_t> next_{0};
};

void Executor::run_whole(ImageQueue& queue, const Lease& lease, const std::uint8_t* pixels, std::int32_t* logits) const {
  while (true) {
    const auto [first, count] = queue.take();
    if (count == 0) return;
    std::array<Memory, kImagesAtOnce> memories;
    for (std::int64_t i = 0; i < count; ++i) memories[i] = {lease.arena(i), pixels + (first + i) * plan_.pixel_bytes};
    for (const auto& step : plan_.steps) {
      for (std::int64_t i = 0; i < count; ++i) step->run(memories[i], lease.scratch(), 0, step->units());
    }
    for (std::int64_t i = 0; i < count; ++i) store_logits(memories[i], logits + (first + i) * classes());
  }
}

void Executor::run_shared(const Memory& memory, std::byte* scratch, int index, SharedWork& work) const {
  for (std::size_t piece = 0; piece < plan_.steps.size(); ++piece) {
    const Step& step = *plan_.steps[piece];
    const std::int64_t units = step.units(), grain = step.granularity();
    const std::int64_t grains = (units + grain - 1) / grain;
    const auto chunks = static_cast<int>(std::min<std::int64_t>(grains, threads_));
    work.run(piece, chunks, index % chunks, [&](int chunk) {
      const std::int64_t begin = grains * chunk / chunks * grain;
      const std::int64_t end = std::min(grains * (chunk + 1) / chunks * grain, units);
      step.run(memory, scratch, begin, end);
    });
  }
}

void Executor::store_logits(const Memory& memory, std::int32_t* logits) const {
  RowView(plan_.output).load(memory, 0, logits);
}

void Executor::run(const std::uint8_t* pixels, std::int64_t images, std::int32_t* logits) const {
  if (images == 0) return;
  if (threads_ == 1) {
    ImageQueue queue(images, 1);
    return run_whole(queue, Lease(*this), pixels, logits);
  }
  // Whole images to a thread as long as there is one for each; the threads share the rest.
  const std::int64_t whole = images / threads_ * threads_;
  ImageQueue queue(whole, threads_);
  std::vector<std::unique_ptr<const Lease>> leases;  // the last is for the shared images
  const int workspaces = threads_ + (whole < images ? 1 : 0);
  for (int index = 0; index < workspaces; ++index) {
    leases.push_back(std::make_unique<const Lease>(*this));
  }
  std::vector<std::unique_ptr<SharedWork>> shared;
  for (std::int64_t image = whole; image < images; ++image) {
    shared.push_back(std::make_unique<SharedWork>(plan_.steps.size() + 1, threads_));
  }
  ThreadPool::shared(threads_)->run([&](int index) {
    const Lease& own = *leases[index];
    run_whole(queue, own, pixels, logits);
    for (std::int64_t image = whole; image < images; ++image) {
      const Memory memory{leases.back()->arena(), pixels + image * plan_.pixel_bytes};
      SharedWork& work = *shared[image - whole];
      run_shared(memory, own.scratch(), index, work);
      // The next image overwrites the arena only when the logits are out.
      work.run(plan_.steps.size(), 1, 0, [&](int) { store_logits(memory, logits + image * classes()); });
    }
  });
}

std::vector<StepProfile> Executor::profile(const std::uint8_t* pixels, std::int64_t images) const {
  using Clock = std::chrono::steady_clock;
  std::vector<std::vector<double>> seconds(plan_.steps.size());
  const Lease lease(*this);
  for (std::int64_t image = 0; image < images; ++image) {
    const Memory memory{lease.arena(), pixels + image * plan_.pixel_bytes};
    for (std::size_t index = 0; index < plan_.steps.size(); ++index) {
      const Step& step = *plan_.steps[index];
      const auto start = Clock::now();
      step.run(memory, lease.scratch(), 0, step.units());
      seconds[index].push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
  }
  std::vector<StepProfile> profiles;
  for (std::size_t index = 0; index < plan_.steps.size(); ++index) {
    const Step& step = *plan_.steps[index];
    auto& times = seconds[index];
    const auto middle = times.begin() + times.size() / 2;
    std::nth_element(times.begin(), middle, times.end());
    profiles.push_back({step.kind(), times.empty() ? 0 : *middle, step.operations(), step.moved_bytes()});
  }
  return profiles;
}

}  // namespace fullint
