// Memory on pages as large as the system has. All of a model's weights pass once an image; where other virtual machines load
// the processor's cache, finding their small pages costs (DeiT-tiny: 3.0 ms, on large pages 2.3; on a quiet machine 2.1 both).
#pragma once

#include <cstddef>
#include <memory>

namespace fullint::detail {

// Zeroed and 64-byte aligned. Pages that are never touched take no memory where the system allows.
std::shared_ptr<std::byte> allocate_large(size_t bytes);

// The same, from a region that this thread's next pieces share. The region goes back with the last of them.
std::shared_ptr<std::byte> allocate_together(size_t bytes);

}  // namespace fullint::detail
