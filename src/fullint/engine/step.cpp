#include "step.h"

#include "program.h"

namespace fullint {

std::int64_t Step::moved_bytes() const {
  const auto size = [](const View& view) { return element_count(view.shape) * size_of(view.type); };
  std::int64_t bytes = size(output_) + static_cast<std::int64_t>(held_bytes());
  for (const View& input : inputs_) bytes += size(input);
  return bytes;
}

}  // namespace fullint
