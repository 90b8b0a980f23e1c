#include "fork_lock.h"

#ifndef _WIN32
#include <pthread.h>
#endif

namespace fullint {

namespace {

// Ready when the module is loaded: what is made on first use could be half made in a child.
std::mutex lock;
long forks = 0;

#ifndef _WIN32
[[maybe_unused]] const int registered = pthread_atfork([] { lock.lock(); }, [] { lock.unlock(); },
                                                       [] {
                                                         ++forks;
                                                         lock.unlock();
                                                       });
#endif

}  // namespace

std::mutex& fork_lock() { return lock; }

long fork_count() { return forks; }

}  // namespace fullint
