#include "thread_pool.h"

#include <map>
#include <system_error>
#include <utility>

#include "fork_lock.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace fullint {

namespace {

constexpr int kSpins = 4000;

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#endif
}

}  // namespace

std::shared_ptr<ThreadPool> ThreadPool::shared(int threads) {
  const std::lock_guard<std::mutex> lock(fork_lock());
  // Threads do not survive a fork: a child process has pools of its own, and none is ever destroyed, as in the child
  // the threads to join do not exist.
  static auto* pools = new std::map<std::pair<long, int>, std::shared_ptr<ThreadPool>>();
  auto& pool = (*pools)[{fork_count(), threads}];
  if (!pool) pool = std::make_shared<ThreadPool>(threads);
  return pool;
}

ThreadPool::ThreadPool(int threads) {
  for (int index = 1; index < threads; ++index) {
    try {
      workers_.emplace_back([this, index] { work(index); });
    } catch (const std::system_error&) {
      return;  // the system gives no more threads; those there are do the work
    }
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::execute(const std::function<void(int)>& task, int index) {
  try {
    task(index);
  } catch (...) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!error_) error_ = std::current_exception();
  }
}

void ThreadPool::work(int index) {
  std::uint64_t seen = 0;
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    start_.wait(lock, [&] { return stop_ || (task_ != nullptr && generation_ != seen); });
    if (stop_) return;
    seen = generation_;
    const auto* task = task_;
    ++running_;
    lock.unlock();
    execute(*task, index);
    lock.lock();
    if (--running_ == 0) finish_.notify_one();
  }
}

void ThreadPool::run(const std::function<void(int)>& task) {
  const std::lock_guard<std::mutex> one_caller(callers_);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    task_ = &task;
    error_ = nullptr;
    ++generation_;
  }
  start_.notify_all();
  execute(task, 0);
  std::unique_lock<std::mutex> lock(mutex_);
  task_ = nullptr;
  finish_.wait(lock, [this] { return running_ == 0; });
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

SharedWork::SharedWork(std::size_t pieces, int chunks) : chunks_(chunks), claimed_(pieces * chunks), done_(pieces) {}

void SharedWork::run(std::size_t piece, int chunks, int first, const std::function<void(int)>& run_chunk) {
  std::exception_ptr error;
  for (int offset = 0; offset < chunks; ++offset) {
    const int chunk = (first + offset) % chunks;
    auto& claim = claimed_[piece * chunks_ + chunk];
    if (claim.load(std::memory_order_relaxed) != 0) continue;
    if (claim.exchange(1, std::memory_order_relaxed) != 0) continue;
    try {
      run_chunk(chunk);
    } catch (...) {
      error = std::current_exception();
    }
    done_[piece].fetch_add(1, std::memory_order_acq_rel);
  }
  for (int spin = 0; done_[piece].load(std::memory_order_acquire) < chunks; ++spin) {
    if (spin < kSpins) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace fullint
