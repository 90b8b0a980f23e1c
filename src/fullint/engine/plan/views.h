// Where every tensor of a program lies.
#pragma once

#include <optional>
#include <vector>

#include "../program.h"
#include "../view.h"
#include "fusion.h"

namespace fullint {

// What a step needs to know of a view: the tensor's own shape; or only its rows, in order, under
// whatever leading axes strides can walk them with; or rows that are evenly spaced besides.
enum class Need { shape, rows, even_rows };

class TensorViews {
 public:
  TensorViews(const Program& program, const Uses& uses);

  bool is_placed(int tensor) const { return views_[tensor].has_value(); }
  const View& operator[](int tensor) const { return *views_[tensor]; }
  void set(int tensor, View view) { views_[tensor] = std::move(view); }

  // The view of a tensor read by a step; a constant is copied here.
  View read(int tensor);

  // Chooses where a step writes a tensor: straight into the result of the reshape, permute or
  // concat that is its only reader if strides can say it, else into memory of its own.
  View place(int tensor, Need need);

  // Memory of its own, in order.
  View fresh(NumberType type, const Shape& shape) const;

 private:
  // `look`: how many operations further to follow the tensor.
  View place(int tensor, Need need, int look);
  std::optional<View> through_reader(int tensor, Need need, int look);

  const Program& program_;
  const Uses& uses_;
  std::vector<std::optional<View>> views_;
  std::vector<int> placed_;  // by the call of `place` under way, to be undone
};

}  // namespace fullint
