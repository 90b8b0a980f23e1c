#include "epilogue_constants.h"

#include <algorithm>
#include <stdexcept>

#include "fixed_point.h"

namespace fullint::detail {
namespace {

RequantizeData view_of(const Requantization& factors) {
  return {factors.pre_shift.data(),  factors.multiplier.data(), factors.shift.data(), factors.intermediate_bits,
          factors.zero_point, factors.low, factors.high};
}

AdditionData view_of(const RescaledAddition& addition) {
  return {addition.multiplier_a.data(), addition.multiplier_b.data(), addition.shift.data(), addition.zero_a,
          addition.zero_b, addition.zero_point, addition.low, addition.high};
}

bool all_equal(const std::vector<int32_t>& values, int32_t value) {
  return std::all_of(values.begin(), values.end(), [=](int32_t item) { return item == value; });
}

bool is_plain_sum(const RescaledAddition& addition) {
  return all_equal(addition.multiplier_a, 1) && all_equal(addition.multiplier_b, 1) && all_equal(addition.shift, 0) &&
         addition.zero_a == 0 && addition.zero_b == 0 && addition.zero_point == 0;
}

int32_t rounding(int32_t shift) { return static_cast<int32_t>((uint32_t{1} << shift) >> 1); }

// pair_constant * odd entry of pair_multiplier = rounding(shift), both int16.
void set_pair(Panel& panel, int64_t natural, int64_t position, int32_t multiplier, int32_t shift) {
  const bool small = shift <= 15;
  panel.pair_constant[natural] = static_cast<int16_t>(small ? 1 : -(1 << 14));
  panel.pair_multiplier[2 * position] = static_cast<int16_t>(multiplier);
  panel.pair_multiplier[2 * position + 1] = static_cast<int16_t>(small ? rounding(shift) : -(rounding(shift) >> 14));
  panel.shift[position] = shift;
}

// Route `high`: with w = floor(h * multiplier / 2^16) and t = shift - 16, a code is (w + 2^(t - 1) + zero_point * 2^t) >> t.
// Multiplying by 2^(15 - t) and rounding away 15 bits (pmulhrsw) adds the 2^(t - 1) and shifts.
int64_t high_start(int32_t shift, int32_t zero_point) { return int64_t{zero_point} * (int64_t{1} << most(shift - 16, 0)); }

// Whether the route `high` gives the right codes even where its 16-bit sum saturates.
bool suits_high(const Requantization& factors) {
  return std::all_of(factors.shift.begin(), factors.shift.end(), [&](int32_t shift) {
    const int64_t start = high_start(shift, factors.zero_point);
    return shift >= 17 && shift <= 31 && start >= -32768 && start <= 32767 && 32767 >> (shift - 16) >= factors.high &&
           -(32768 >> (shift - 16)) <= factors.low;
  });
}

void set_high(Panel& panel, int64_t natural, int32_t multiplier, int32_t shift, int32_t zero_point) {
  panel.multiplier[natural] = static_cast<int16_t>(multiplier);
  panel.high_start[natural] = static_cast<int16_t>(high_start(shift, zero_point));
  panel.high_scale[natural] = static_cast<int16_t>(1 << (31 - shift));
}

// Route `whole`: with M = multiplier * 2^(15 - shift) = whole * 2^15 + rest, whole 0 or 1, a code is
// (h * M + 2^14) >> 15 = whole * h + ((h * rest + 2^14) >> 15): both terms have the sign of h or are 0, so their
// saturating sum is the clipped code.
bool suits_whole(const Requantization& factors) {
  bool suits = factors.zero_point == 0;
  for (size_t column = 0; column < factors.shift.size(); ++column) {
    const int32_t shift = factors.shift[column], multiplier = factors.multiplier[column];
    suits = suits && shift <= 15 && multiplier >= 0 && multiplier < 1 << (shift + 1);
  }
  return suits;
}

void set_whole(Panel& panel, int64_t natural, int32_t multiplier, int32_t shift) {
  const int32_t scaled = multiplier << (15 - shift);
  panel.multiplier[natural] = static_cast<int16_t>(scaled & 32767);
  panel.adds_whole[natural] = static_cast<int16_t>(-(scaled >> 15));
}

void set_addition(Panel& panel, int64_t position, const RescaledAddition& addition, size_t column) {
  panel.addition_a[position] = addition.multiplier_a[column];
  panel.addition_b[position] = addition.multiplier_b[column];
  panel.addition_shift[position] = addition.shift[column];
  panel.addition_start[position] = static_cast<int32_t>(
      int64_t{rounding(addition.shift[column])} - int64_t{addition.zero_a} * addition.multiplier_a[column] -
      int64_t{addition.zero_b} * addition.multiplier_b[column]);
}

bool is_byte(NumberType type) { return size_of(type) == 1; }

}  // namespace

void expand(std::vector<int32_t>& values, int64_t columns) {
  const auto size = static_cast<size_t>(columns);
  if (values.size() == 1) values.resize(size, values[0]);
  if (values.size() != size) throw std::invalid_argument("kernel factors are neither one nor one a column");
}

bool covers(NumberType type, int32_t low, int32_t high) {
  if (type == NumberType::u8) return low <= 0 && high >= 255;
  if (type == NumberType::s8) return low <= -128 && high >= 127;
  return low <= -32768 && high >= 32767;
}

bool fits_words(int64_t zero_point, int64_t low, int64_t high) {
  const auto is_word = [](int64_t value) { return value >= -32768 && value <= 32767; };
  return is_word(zero_point) && is_word(low) && is_word(high) && is_word(low - zero_point) && is_word(high - zero_point);
}

EpilogueConstants::EpilogueConstants(EpilogueSpec spec, const std::vector<int32_t>& accumulator_correction)
    : spec_(std::move(spec)) {
  data_.columns = spec_.columns;
  data_.bias = spec_.bias.empty() ? nullptr : spec_.bias.data();
  if (spec_.requantization) {
    for (auto* factors : {&spec_.requantization->pre_shift, &spec_.requantization->multiplier, &spec_.requantization->shift})
      expand(*factors, spec_.columns);
    data_.requantizes = true;
    data_.requantize = view_of(*spec_.requantization);
  }
  if (spec_.addition) {
    for (auto* factors : {&spec_.addition->multiplier_a, &spec_.addition->multiplier_b, &spec_.addition->shift})
      expand(*factors, spec_.columns);
    data_.adds = true;
    data_.addition = view_of(*spec_.addition);
    data_.saturating_addition = is_plain_sum(*spec_.addition);
    data_.plain_addition = data_.saturating_addition && covers(NumberType::s16, data_.addition.low, data_.addition.high) &&
                           spec_.second_type == NumberType::s16 && spec_.output_type == NumberType::s16;
  }
  data_.has_table = spec_.table.has_value();
  data_.table = spec_.table ? spec_.table->data() : nullptr;
  data_.table_output = spec_.table_output;
  data_.second_type = spec_.second_type;
  data_.output_type = spec_.output_type;
  choose_route();
  if (data_.route != Route::portable) fill_panels(accumulator_correction);
}

void EpilogueConstants::choose_route() {
  const bool wide_output = data_.output_type == NumberType::s32;
  data_.route = Route::portable;
  if (data_.adds) {
    const RescaledAddition& addition = *spec_.addition;
    if (wide_output || data_.has_table || data_.second_type == NumberType::s32 ||
        !fits_words(addition.zero_point, addition.low, addition.high))
      return;
  }
  if (data_.has_table && !is_byte(data_.output_type)) return;
  if (!data_.requantizes) {
    if (data_.adds || (wide_output && !data_.has_table)) data_.route = Route::none;
    return;
  }
  const Requantization& factors = *spec_.requantization;
  if (data_.has_table && (factors.low < -128 || factors.high > (factors.low < 0 ? 127 : 255))) return;
  if (wide_output || factors.intermediate_bits != 16 || !fits_words(factors.zero_point, factors.low, factors.high)) return;
  data_.route = suits_high(factors) ? Route::high : suits_whole(factors) ? Route::whole : Route::pairs;
  data_.code_type = data_.adds ? NumberType::s16 : data_.output_type;
  if (data_.has_table) data_.code_type = factors.low < 0 ? NumberType::s8 : NumberType::u8;
  data_.clips = !covers(data_.code_type, factors.low, factors.high);
}

void EpilogueConstants::fill_panels(const std::vector<int32_t>& accumulator_correction) {
  const auto columns = static_cast<size_t>(spec_.columns);
  panels_ = AlignedArray<Panel>::constant((columns + panel_columns - 1) / panel_columns);
  data_.panels = panels_.data();
  for (size_t index = 0; index < panels_.bytes() / sizeof(Panel); ++index) {
    Panel& panel = panels_[index];
    for (int64_t position = 0; position < panel_columns; ++position) {
      const int64_t natural = tile_order(position);
      const size_t column = index * panel_columns + static_cast<size_t>(natural);
      if (column >= columns) continue;
      if (!spec_.bias.empty()) panel.start[position] = spec_.bias[column];
      if (!accumulator_correction.empty())
        panel.start[position] = static_cast<int32_t>(static_cast<uint32_t>(panel.start[position]) +
                                                     static_cast<uint32_t>(accumulator_correction[column]));
      if (spec_.requantization) {
        const Requantization& factors = *spec_.requantization;
        panel.start[position] = static_cast<int32_t>(static_cast<uint32_t>(panel.start[position]) +
                                                     static_cast<uint32_t>(rounding(factors.pre_shift[column])));
        panel.pre_shift[position] = factors.pre_shift[column];
        if (data_.route == Route::high)
          set_high(panel, natural, factors.multiplier[column], factors.shift[column], factors.zero_point);
        if (data_.route == Route::whole) set_whole(panel, natural, factors.multiplier[column], factors.shift[column]);
        set_pair(panel, natural, position, factors.multiplier[column], factors.shift[column]);
      }
      if (spec_.addition) set_addition(panel, position, *spec_.addition, column);
    }
  }
}

size_t EpilogueConstants::bytes() const { return panels_.bytes() + spec_.bias.size() * 4; }

}  // namespace fullint::detail
