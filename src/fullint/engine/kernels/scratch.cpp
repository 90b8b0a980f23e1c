#include "scratch.h"

#include "aligned.h"

namespace fullint::detail {

void* thread_scratch(Scratch use, int64_t bytes) {
  thread_local AlignedArray<char> memory[static_cast<int>(Scratch::count)];
  AlignedArray<char>& mine = memory[static_cast<int>(use)];
  if (mine.bytes() < static_cast<size_t>(bytes)) mine = AlignedArray<char>(static_cast<size_t>(bytes));
  return mine.data();
}

}  // namespace fullint::detail
