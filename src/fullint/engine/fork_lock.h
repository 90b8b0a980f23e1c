// A lock that a fork leaves free.
#pragma once

#include <mutex>

namespace fullint {

// Guards what runs share for a moment, in all engines of the process. A fork waits for it, so a child process finds
// that state whole and the lock free, whatever the threads that it did not inherit were doing.
std::mutex& fork_lock();

// How many forks led to this process since the module was loaded. Read it under the lock.
long fork_count();

}  // namespace fullint
