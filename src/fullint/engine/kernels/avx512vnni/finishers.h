// How rows of accumulators end, by what becomes of them. All are used alike: `use` a panel, then `rows` of its accumulators,
// (count, 32) in tile order, `stride` apart; `row` is the first one's number in `out`. The constants of a panel stay in
// registers where `rows` is inlined into the loop of a product.
#pragma once

#include "avx512vnni/epilogue.h"
#include "avx512vnni/table.h"

namespace fullint::detail {
namespace {

// Codes of bytes, two rows at a time, as they share a register.
template <Route route, bool clips, bool is_signed>
class ByteFinisher {
 public:
  ByteFinisher(const EpilogueData& epilogue, const ConstRows&, const Rows& out)
      : epilogue_(epilogue), requantize_(epilogue), out_(out) {}

  FULLINT_INLINE void use(int64_t panel) {
    requantize_.use(epilogue_.panels[panel]);
    column_ = panel * panel_columns;
    mask_ = columns_mask(epilogue_.columns - column_);
  }

  FULLINT_INLINE void rows(const int32_t* accumulators, int64_t stride, int64_t row, int64_t count) const {
    each_pair(accumulators, stride, row, count, [](__m512i codes) { return codes; });
  }

 protected:
  // Of an odd number the last row is finished twice.
  template <typename Map>
  FULLINT_INLINE void each_pair(const int32_t* accumulators, int64_t stride, int64_t row, int64_t count, Map map) const {
    char* to = element(out_, NumberType::u8, row, column_);
    for (int64_t i = 0; i < count; i += 2, accumulators += 2 * stride, to += 2 * out_.row_stride) {
      const int64_t next = i + 1 < count ? 1 : 0;
      store_pair(to, to + next * out_.row_stride, map(codes_of(accumulators, accumulators + next * stride)));
    }
  }

 private:
  // The first row's in the low half.
  FULLINT_INLINE __m512i codes_of(const int32_t* first_row, const int32_t* second_row) const {
    const __m512i first = requantize_(load_accumulators(first_row)), second = requantize_(load_accumulators(second_row));
    const __m512i packed = is_signed ? _mm512_packs_epi16(first, second) : _mm512_packus_epi16(first, second);
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), packed);
  }

  FULLINT_INLINE void store_pair(char* first, char* second, __m512i bytes) const {
    if (mask_ == ~__mmask32{0}) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(second), _mm512_extracti64x4_epi64(bytes, 1));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(first), _mm512_castsi512_si256(bytes));
    } else {
      _mm256_mask_storeu_epi8(second, mask_, _mm512_extracti64x4_epi64(bytes, 1));
      _mm256_mask_storeu_epi8(first, mask_, _mm512_castsi512_si256(bytes));
    }
  }

  const EpilogueData& epilogue_;
  Requantizer<route, clips> requantize_;
  Rows out_;
  int64_t column_ = 0;
  __mmask32 mask_ = 0;
};

// The same with a table's values in place of the codes; for processors with AVX-512-VBMI.
template <Route route, bool clips, bool is_signed>
class TableFinisher : public ByteFinisher<route, clips, is_signed> {
 public:
  FULLINT_TARGET_VBMI TableFinisher(const EpilogueData& epilogue, const ConstRows& second, const Rows& out)
      : ByteFinisher<route, clips, is_signed>(epilogue, second, out), lookup_(epilogue.table) {}

  FULLINT_TARGET_VBMI FULLINT_INLINE void rows(const int32_t* accumulators, int64_t stride, int64_t row, int64_t count) const {
    this->each_pair(accumulators, stride, row, count, lookup_);
  }

 private:
  Table lookup_;
};

// Codes of 16 bits.
template <Route route, bool clips>
class WordFinisher {
 public:
  WordFinisher(const EpilogueData& epilogue, const ConstRows&, const Rows& out)
      : epilogue_(epilogue), requantize_(epilogue), out_(out) {}

  FULLINT_INLINE void use(int64_t panel) {
    requantize_.use(epilogue_.panels[panel]);
    column_ = panel * panel_columns;
    mask_ = columns_mask(epilogue_.columns - column_);
  }

  FULLINT_INLINE void rows(const int32_t* accumulators, int64_t stride, int64_t row, int64_t count) const {
    for (int64_t i = 0; i < count; ++i)
      _mm512_mask_storeu_epi16(element(out_, NumberType::s16, row + i, column_), mask_,
                               requantize_(load_accumulators(accumulators + i * stride)));
  }

 private:
  const EpilogueData& epilogue_;
  Requantizer<route, clips> requantize_;
  Rows out_;
  int64_t column_ = 0;
  __mmask32 mask_ = 0;
};

// Codes of 16 bits, added to others. `plain`: a sum of int16, saturated.
template <Route route, bool clips, bool plain>
class AddedFinisher {
 public:
  AddedFinisher(const EpilogueData& epilogue, const ConstRows& second, const Rows& out)
      : epilogue_(epilogue), requantize_(epilogue), add_(epilogue), second_(second), out_(out) {}

  FULLINT_INLINE void use(int64_t panel) {
    requantize_.use(epilogue_.panels[panel]);
    if constexpr (!plain) add_.use(epilogue_.panels[panel]);
    column_ = panel * panel_columns;
    mask_ = columns_mask(epilogue_.columns - column_);
  }

  FULLINT_INLINE void rows(const int32_t* accumulators, int64_t stride, int64_t row, int64_t count) const {
    for (int64_t i = 0; i < count; ++i) {
      const __m512i codes = requantize_(load_accumulators(accumulators + i * stride));
      const char* other = element(second_, second_type(), row + i, column_);
      char* to = element(out_, output_type(), row + i, column_);
      if constexpr (plain)
        _mm512_mask_storeu_epi16(to, mask_, _mm512_adds_epi16(codes, _mm512_maskz_loadu_epi16(mask_, other)));
      else
        store_words(to, output_type(), mask_, add_(codes, load_words(other, second_type(), mask_)));
    }
  }

 private:
  NumberType second_type() const { return plain ? NumberType::s16 : epilogue_.second_type; }
  NumberType output_type() const { return plain ? NumberType::s16 : epilogue_.output_type; }

  const EpilogueData& epilogue_;
  Requantizer<route, clips> requantize_;
  Adder add_;
  ConstRows second_;
  Rows out_;
  int64_t column_ = 0;
  __mmask32 mask_ = 0;
};

}  // namespace
}  // namespace fullint::detail
