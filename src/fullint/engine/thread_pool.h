// The engine's threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace fullint {

// A fixed number of threads that work on one task at a time, the caller's thread among them.
// Callers wait for one another, so however many there are, no more than `threads` run.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // All engines of one process that want so many threads share them.
  static std::shared_ptr<ThreadPool> shared(int threads);

  // Runs task(0) here and, on threads that are free in time, task(1) ... task(threads - 1). The
  // task must be complete when task(0) returns and the others that started have: one that did not
  // start, because the machine is busy, is not waited for. The first exception is thrown here.
  void run(const std::function<void(int)>& task);

 private:
  void work(int index);
  void execute(const std::function<void(int)>& task, int index);

  std::mutex callers_;
  std::mutex mutex_;
  std::condition_variable start_, finish_;
  const std::function<void(int)>* task_ = nullptr;
  std::uint64_t generation_ = 0;
  int running_ = 0;
  bool stop_ = false;
  std::exception_ptr error_;
  std::vector<std::thread> workers_;
};

// One piece of work after another, each cut into chunks that threads claim. A thread that comes late
// or is interrupted holds nobody up but by the chunk it has claimed.
class SharedWork {
 public:
  // `pieces` in all, of at most `chunks` chunks each.
  SharedWork(std::size_t pieces, int chunks);

  // Claims chunks of a piece, first the thread's own share, and runs run(chunk) for each; returns
  // when all chunks are done, whoever did them. Every thread calls it for every piece in order. A
  // chunk that throws counts as done.
  void run(std::size_t piece, int chunks, int first, const std::function<void(int)>& run_chunk);

 private:
  int chunks_;
  std::vector<std::atomic<int>> claimed_;
  std::vector<std::atomic<int>> done_;
};

}  // namespace fullint
