#include <algorithm>
#include <map>

#include "plan.h"

namespace fullint {

void leave_out_unread(const std::vector<std::unique_ptr<Step>>& steps, const View& output) {
  std::map<const Buffer*, std::int64_t> ends;  // behind all that is read of each buffer from here on
  ends[output.buffer.get()] = output.end();
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    (*step)->leave_out_from(ends[(*step)->output().buffer.get()]);
    const auto& inputs = (*step)->inputs();
    for (std::size_t index = 0; index < inputs.size(); ++index) {
      std::int64_t& end = ends[inputs[index].buffer.get()];
      end = std::max(end, (*step)->reads_to(index));
    }
  }
}

}  // namespace fullint
