// Memory that a thread keeps between kernel calls.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fullint::detail {

enum class Scratch { inputs, wide_inputs, byte_inputs, weights, accumulators, byte_sums, attention, row, count };

// At least `bytes`, 64-byte aligned, this thread's own; content undefined; valid until the thread asks again for the same use.
void* thread_scratch(Scratch use, int64_t bytes);

}  // namespace fullint::detail
