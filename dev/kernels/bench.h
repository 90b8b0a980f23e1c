// Timing: CPU time of this process, the median of short repetitions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <random>
#include <vector>

namespace bench {

inline double cpu_seconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Median seconds of one call.
template <typename Function>
double median_seconds(Function&& function, double budget = 0.12) {
  function();
  std::vector<double> times;
  const double end = cpu_seconds() + budget;
  while (times.size() < 5 || cpu_seconds() < end) {
    const double start = cpu_seconds();
    function();
    times.push_back(cpu_seconds() - start);
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

template <typename T>
std::vector<T> random_numbers(size_t count, int low, int high, unsigned seed = 1) {
  std::mt19937 generator(seed);
  std::uniform_int_distribution<int> numbers(low, high);
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(numbers(generator));
  return values;
}

// Multiply-accumulates a second of register-only loops: what one core can do at most. 0 where the build lacks it.
double peak_amx();
double peak_avx512vnni();
double peak_avx2();

}  // namespace bench
