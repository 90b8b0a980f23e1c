// The engine's threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace fullint {

// A fixed number of threads that run one task at a time, the caller's thread among them. Callers
// wait for one another, so however many there are, no more than `threads` run.
class ThreadPool {
public:
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    // All engines of one process that want so many threads share them.
    static std::shared_ptr<ThreadPool> shared(int threads);

    int threads() const { return threads_; }

    // Runs task(0) here and task(1) ... task(threads - 1) on other threads, at the same time;
    // returns when all have. The first exception is thrown here.
    void run(const std::function<void(int)>& task);

private:
    void work(int index);
    void execute(const std::function<void(int)>& task, int index);

    const int threads_;
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

// Where a fixed number of threads wait for one another, again and again. They spin for some
// microseconds, since the steps between two meetings take few, then give their turn away.
class Barrier {
public:
    explicit Barrier(int threads) : threads_(threads) {}
    void wait();

private:
    const int threads_;
    std::atomic<int> waiting_{0};
    std::atomic<int> generation_{0};
};

}  // namespace fullint
