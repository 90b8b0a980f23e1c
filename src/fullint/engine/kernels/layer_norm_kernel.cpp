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
             fraction_bits(spec_.channels), false, false, nullptr, nullptr};
    if (set == nullptr || set->layer_norm == nullptr || !fits_lanes(spec_)) return;
    function_ = set->layer_norm;
    fill_panels();
  }
  void run(int64_t rows, ConstRows x, ConstRows, Rows out) const override { function_(data_, rows, x, out); }
  size_t bytes() const override { return panels_.bytes() + split_panels_.bytes() + spec_.bias.size() * 16; }

 private:
  void fill_panels() {
    const auto channels = static_cast<size_t>(spec_.channels), count = (channels + panel_columns - 1) / panel_columns;
    panels_ = AlignedArray<Panel>::constant(count);
    split_panels_ = AlignedArray<LayerNormPanel>::constant(count);
    for (size_t index = 0; index < count; ++index) {
      split_panels_[index].fits_words = true;
      for (int64_t position = 0; position < panel_columns; ++position) {
        const size_t first = index * panel_columns, channel = first + static_cast<size_t>(tile_order(position));
        if (channel < channels) fill(panels_[index], position, channel);
        const size_t split_channel = first + static_cast<size_t>(split_order(position));
        if (split_channel < channels) fill(split_panels_[index], position, split_channel);
        if (first + static_cast<size_t>(position) < channels)
          split_panels_[index].channel_shift[position] =
              static_cast<int16_t>(spec_.channel_shift[first + static_cast<size_t>(position)]);
      }
    }
    data_.panels = panels_.data();
    data_.split_panels = split_panels_.data();
    data_.clips = !covers(spec_.output_type, spec_.low, spec_.high);
    data_.no_channel_shift =
        spec_.zero_x == 0 && *std::max_element(spec_.channel_shift.begin(), spec_.channel_shift.end()) == 0;
  }

  int32_t start_of(size_t channel) const {
    return static_cast<int32_t>(spec_.bias[channel] + ((int64_t{1} << spec_.shift[channel]) >> 1));
  }

  void fill(Panel& panel, int64_t position, size_t channel) const {
    panel.pair_multiplier[2 * position] = static_cast<int16_t>(spec_.multiplier[channel]);
    panel.start[position] = start_of(channel);
    panel.shift[position] = spec_.shift[channel];
  }

  void fill(LayerNormPanel& panel, int64_t position, size_t channel) const {
    const int32_t start = start_of(channel), high = start >> 16;
    panel.multiplier[position] = static_cast<int16_t>(spec_.multiplier[channel]);
    panel.start_high[position] = static_cast<int16_t>(high);
    panel.largest_low[position] = static_cast<uint16_t>(65535 - (start & 65535));
    panel.shift[position] = static_cast<int16_t>(spec_.shift[channel] - 16);
    // The high half of a product lies within 2^14, with the carry.
    panel.fits_words = panel.fits_words && spec_.shift[channel] >= 16 && high >= -16384 && high < 16384;
    const int64_t wide = 16 * (position / 4 % 2) + 4 * (position / 8) + position % 4;
    panel.wide_multiplier[wide] = spec_.multiplier[channel] & 65535;
    panel.wide_start[wide] = start;
    panel.wide_shift[wide] = spec_.shift[channel];
  }

  LayerNormSpec spec_;
  LayerNormFunction function_;
  LayerNormData data_{};
  AlignedArray<Panel> panels_;
  AlignedArray<LayerNormPanel> split_panels_;
};

}  // namespace
}  // namespace detail

std::unique_ptr<const RowKernel> Kernels::layer_norm(const LayerNormSpec& spec) const {
  return std::make_unique<detail::LayerNormKernel>(spec, detail::instruction_set(isa));
}

}  // namespace fullint
