// Turns the factors of a Spec into the arrays that kernels read, and decides by which route they go.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "aligned.h"
#include "data.h"
#include "kernels.h"

namespace fullint::detail {

// The parts of an operation's end, as in LinearSpec.
struct EpilogueSpec {
  int64_t columns = 0;
  std::vector<int32_t> bias;  // empty, or one a column
  std::optional<Requantization> requantization;
  std::optional<std::array<uint8_t, 256>> table;
  NumberType table_output = NumberType::u8;
  std::optional<RescaledAddition> addition;
  NumberType second_type = NumberType::s16;
  NumberType output_type = NumberType::s32;
};

// Owns what its `data` points to; neither copied nor moved.
class EpilogueConstants {
 public:
  // accumulator_correction: what to add to vector kernels' accumulators, empty or one a column.
  explicit EpilogueConstants(EpilogueSpec spec, const std::vector<int32_t>& accumulator_correction = {});
  EpilogueConstants(const EpilogueConstants&) = delete;
  EpilogueConstants& operator=(const EpilogueConstants&) = delete;

  const EpilogueData& data() const { return data_; }
  size_t bytes() const;

 private:
  void choose_route();
  void fill_panels(const std::vector<int32_t>& accumulator_correction);

  EpilogueSpec spec_;
  AlignedArray<Panel> panels_;
  EpilogueData data_{};
};

// One number, or one a column, to one a column.
void expand(std::vector<int32_t>& values, int64_t columns);

// Whether a range is all of a type's.
bool covers(NumberType type, int32_t low, int32_t high);

// Whether int16 lanes that saturate before the zero point is added still end in the right code.
bool fits_words(int64_t zero_point, int64_t low, int64_t high);

}  // namespace fullint::detail
