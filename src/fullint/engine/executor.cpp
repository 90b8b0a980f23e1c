#include "executor.h"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "fork_lock.h"
#include "rows.h"

namespace fullint {

namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kMostIdleWorkspaces = 16;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

std::byte* align(std::byte* address) {
  const auto value = reinterpret_cast<std::uintptr_t>(address);
  return address + (aligned(value) - value);
}

}  // namespace

class Executor::Workspace {
 public:
  Workspace(std::size_t arena_bytes, std::size_t scratch_bytes)
      : bytes_(new std::byte[aligned(arena_bytes) + scratch_bytes + kAlignment]),
        arena_(align(bytes_.get())),
        scratch_(arena_ + aligned(arena_bytes)) {}
  std::byte* arena() const { return arena_; }
  std::byte* scratch() const { return scratch_; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::byte* arena_;
  std::byte* scratch_;
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
  std::byte* arena() const { return workspace_->arena(); }
  std::byte* scratch() const { return workspace_->scratch(); }

 private:
  const Executor& executor_;
  std::unique_ptr<Workspace> workspace_;
};

Executor::Executor(Plan plan, int threads) : plan_(std::move(plan)), threads_(std::max(threads, 1)) {}

Executor::~Executor() = default;

void Executor::run_image(const Memory& memory, std::byte* scratch) const {
  for (const auto& step : plan_.steps) step->run(memory, scratch, 0, step->units());
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
  const auto memory_of = [&](const Lease& lease, std::int64_t image) {
    return Memory{lease.arena(), pixels + image * plan_.pixel_bytes};
  };
  if (images == 0) return;
  if (threads_ == 1) {
    const Lease lease(*this);
    for (std::int64_t image = 0; image < images; ++image) {
      run_image(memory_of(lease, image), lease.scratch());
      store_logits(memory_of(lease, image), logits + image * classes());
    }
    return;
  }
  // Whole images to a thread as long as there is one for each; the threads share the rest.
  const std::int64_t whole = images / threads_ * threads_;
  std::atomic<std::int64_t> next{0};
  std::vector<std::unique_ptr<const Lease>> leases;  // the last is for the shared images
  const int arenas = threads_ + (whole < images ? 1 : 0);
  for (int index = 0; index < arenas; ++index) {
    leases.push_back(std::make_unique<const Lease>(*this));
  }
  std::vector<std::unique_ptr<SharedWork>> shared;
  for (std::int64_t image = whole; image < images; ++image) {
    shared.push_back(std::make_unique<SharedWork>(plan_.steps.size() + 1, threads_));
  }
  ThreadPool::shared(threads_)->run([&](int index) {
    const Lease& own = *leases[index];
    for (std::int64_t image; (image = next.fetch_add(1)) < whole;) {
      run_image(memory_of(own, image), own.scratch());
      store_logits(memory_of(own, image), logits + image * classes());
    }
    for (std::int64_t image = whole; image < images; ++image) {
      const Memory memory = memory_of(*leases.back(), image);
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
    profiles.push_back({step.kind(), times.empty() ? 0 : *middle, step.operations()});
  }
  return profiles;
}

}  // namespace fullint
