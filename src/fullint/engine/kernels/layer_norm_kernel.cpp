// Makes LayerNorms.
#include <algorithm>

#include "epilogue_constants.h"
#include "fixed_point.h"
#include "portable.h"
#include "vector_kernels.h"

namespace fullint {
namespace detail {
namespace {

// fixed_point.fraction_bits_for_normalised
int32_t fraction_bits(int64_t channels) {
  return 14 - (bit_length(static_cast<uint64_t>(channels - 1)) + 1) / 2;
}

// Largest |x - zero| << channel_shift that the input's type allows.
int64_t largest_value(const LayerNormSpec& spec) {
  const int64_t lows[] = {0, -128, -32768, INT32_MIN}, highs[] = {255, 127, 32767, INT32_MAX};
  const auto type = static_cast<size_t>(spec.input_type);
  const int32_t shift = *std::max_element(spec.channel_shift.begin(), spec.channel_shift.end());
  return most(highs[type] - spec.zero_x, spec.zero_x - lows[type]) << shift;
}

// Vector kernels keep values in int16 lanes and centred ones in int32.
bool fits_lanes(const LayerNormSpec& spec) {
  const bool words = spec.input_type == NumberType::s16 && spec.zero_x == 0 && largest_value(spec) == 32768;
  const int64_t largest = words ? 32767 : largest_value(spec);
  return largest <= 32767 && spec.channels < 32768 && spec.channels * 2 * (largest + 1) <= int64_t{1} << 30 &&
         fits_words(spec.zero_point, spec.low, spec.high) && spec.output_type != NumberType::s32;
}

class LayerNormKernel final : public RowKernel {
 public:
  LayerNormKernel(const LayerNormSpec& spec, const InstructionSet* set) : spec_(spec), function_(layer_norm_portable) {
    for (auto* values : {&spec_.channel_shift, &spec_.multiplier, &spec_.bias, &spec_.shift}) expand(*values, spec.channels);
    data_ = {spec_.channels, spec_.input_type, spec_.output_type, spec_.channel_shift.data(), spec_.multiplier.data(),
             spec_.bias.data(), spec_.shift.data(), spec_.zero_x, spec_.zero_point, spec_.low, spec_.high, spec_.epsilon,
             fraction_bits(spec_.channels), false, nullptr};
    if (set == nullptr || set->layer_norm == nullptr || !fits_lanes(spec_)) return;
    function_ = set->layer_norm;
    fill_panels();
  }
  void run(int64_t rows, ConstRows x, ConstRows, Rows out) const override { function_(data_, rows, x, out); }
  size_t bytes() const override { return panels_.bytes() + spec_.bias.size() * 16; }

 private:
  void fill_panels() {
    const auto channels = static_cast<size_t>(spec_.channels);
    panels_ = AlignedArray<Panel>((channels + panel_columns - 1) / panel_columns);
    for (size_t index = 0; index < panels_.bytes() / sizeof(Panel); ++index)
      for (int64_t position = 0; position < panel_columns; ++position) {
        const int64_t natural = tile_order(position);
        const size_t channel = index * panel_columns + static_cast<size_t>(natural);
        if (channel >= channels) continue;
        Panel& panel = panels_[index];
        panel.high_shift[natural] = static_cast<int16_t>(spec_.channel_shift[channel]);
        panel.pair_multiplier[2 * position] = static_cast<int16_t>(spec_.multiplier[channel]);
        panel.start[position] =
            static_cast<int32_t>(spec_.bias[channel] + ((int64_t{1} << spec_.shift[channel]) >> 1));
        panel.shift[position] = spec_.shift[channel];
      }
    data_.panels = panels_.data();
    data_.no_channel_shift =
        spec_.zero_x == 0 && *std::max_element(spec_.channel_shift.begin(), spec_.channel_shift.end()) == 0;
  }

  LayerNormSpec spec_;
  LayerNormFunction function_;
  LayerNormData data_{};
  AlignedArray<Panel> panels_;
};

}  // namespace
}  // namespace detail

std::unique_ptr<const RowKernel> Kernels::layer_norm(const LayerNormSpec& spec) const {
  return std::make_unique<detail::LayerNormKernel>(spec, detail::instruction_set(isa));
}

}  // namespace fullint
