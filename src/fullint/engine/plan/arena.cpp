#include <algorithm>
#include <map>

#include "plan.h"

namespace fullint {

namespace {

constexpr std::size_t kAlignment = 64;

struct Lifetime {
  Buffer* buffer;
  std::size_t first, last;
};

// First and last step that touches each buffer.
std::vector<Lifetime> lifetimes(const std::vector<std::unique_ptr<Step>>& steps, const View& output) {
  std::vector<Lifetime> result;
  std::map<const Buffer*, std::size_t> index;
  const auto touch = [&](const View& view, std::size_t step) {
    if (view.buffer->place != Buffer::Place::arena) return;
    const auto [found, is_new] = index.emplace(view.buffer.get(), result.size());
    if (is_new) result.push_back({view.buffer.get(), step, step});
    result[found->second].last = step;
  };
  for (std::size_t step = 0; step < steps.size(); ++step) {
    for (const View& input : steps[step]->inputs()) touch(input, step);
    touch(steps[step]->output(), step);
  }
  touch(output, steps.size());
  return result;
}

}  // namespace

std::size_t place_buffers(const std::vector<std::unique_ptr<Step>>& steps, const View& output) {
  std::vector<Lifetime> pending = lifetimes(steps, output);
  // Largest first: small ones then fill the gaps.
  std::stable_sort(pending.begin(), pending.end(),
                   [](const Lifetime& a, const Lifetime& b) { return a.buffer->size > b.buffer->size; });
  std::vector<Lifetime> placed;  // by offset
  std::size_t arena = 0;
  for (const Lifetime& next : pending) {
    std::size_t offset = 0;
    for (const Lifetime& other : placed) {
      if (other.last < next.first || next.last < other.first) continue;
      if (offset + next.buffer->size <= other.buffer->offset) break;
      const std::size_t end = other.buffer->offset + other.buffer->size;
      offset = std::max(offset, (end + kAlignment - 1) / kAlignment * kAlignment);
    }
    next.buffer->offset = offset;
    arena = std::max(arena, offset + next.buffer->size);
    const auto behind = std::find_if(placed.begin(), placed.end(),
                                     [&](const Lifetime& other) { return other.buffer->offset > offset; });
    placed.insert(behind, next);
  }
  return arena;
}

}  // namespace fullint
