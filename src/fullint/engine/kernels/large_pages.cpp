#include "large_pages.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>

// Sanitizers watch the ends of what `new` gives.
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
#define FULLINT_HAS_LARGE_PAGES
#include <sys/mman.h>
#endif

namespace fullint::detail {
namespace {

constexpr size_t alignment = 64;

size_t round_up(size_t value, size_t step) { return (value + step - 1) / step * step; }

std::byte* round_up(void* address, size_t step) {
  const auto value = reinterpret_cast<uintptr_t>(address);
  return static_cast<std::byte*>(address) + (round_up(value, step) - value);
}

}  // namespace

#ifdef FULLINT_HAS_LARGE_PAGES

namespace {

constexpr size_t large_page = size_t{2} << 20;
constexpr size_t region_bytes = 16 * large_page;

struct Region {
  std::shared_ptr<std::byte> memory;
  size_t size = 0, used = 0;
};

}  // namespace

std::shared_ptr<std::byte> allocate_large(size_t bytes) {
  const size_t mapped = round_up(std::max<size_t>(bytes, 1), large_page) + large_page;
  void* start = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) throw std::bad_alloc();
  std::byte* first = round_up(start, large_page);
  madvise(first, mapped - large_page, MADV_HUGEPAGE);  // advice: small pages do as well
  return {first, [start, mapped](std::byte*) { munmap(start, mapped); }};
}

std::shared_ptr<std::byte> allocate_together(size_t bytes) {
  thread_local std::weak_ptr<Region> current;
  const size_t size = round_up(bytes, alignment);
  auto region = current.lock();
  if (!region || region->size - region->used < size) {
    region = std::make_shared<Region>();
    region->size = std::max(size, region_bytes);
    region->memory = allocate_large(region->size);
    current = region;
  }
  std::byte* piece = region->memory.get() + region->used;
  region->used += size;
  return {region, piece};
}

#else

std::shared_ptr<std::byte> allocate_large(size_t bytes) {
  void* start = std::calloc(bytes + alignment, 1);
  if (start == nullptr) throw std::bad_alloc();
  return {round_up(start, alignment), [start](std::byte*) { std::free(start); }};
}

std::shared_ptr<std::byte> allocate_together(size_t bytes) { return allocate_large(bytes); }

#endif

}  // namespace fullint::detail
