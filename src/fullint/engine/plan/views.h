// Where every tensor of a program lies.
#pragma once

#include <optional>
#include <vector>

#include "../program.h"
#include "../view.h"
#include "fusion.h"

namespace fullint {

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
  // `evenly_spaced_rows`: the step needs one stride from row to row.
  View place(int tensor, bool evenly_spaced_rows);

  // Memory of its own, in order.
  View fresh(NumberType type, const Shape& shape) const;

 private:
  std::optional<View> through_reader(int tensor);

  const Program& program_;
  const Uses& uses_;
  std::vector<std::optional<View>> views_;
};

}  // namespace fullint
