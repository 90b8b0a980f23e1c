// ops/lookup.py for tables of up to 2^16 words.
#include "avx512vnni/avx512.h"
#include "avx512vnni/epilogue.h"
#include "avx512vnni/gather.h"

namespace fullint::detail {

void word_lookup_avx512(const WordLookupData& data, int64_t rows, const ConstRows& x, const Rows& out) {
  const RowTypes& types = data.types;
  const __m512i offset = _mm512_set1_epi16(static_cast<int16_t>(data.offset));
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < types.columns; column += 32) {
      const __mmask32 mask = columns_mask(types.columns - column);
      const __m512i codes = load_words(element(x, types.input, row, column), types.input, mask);
      const __m512i words = gather_words(data.table, _mm512_maskz_sub_epi16(mask, codes, offset));
      store_words(element(out, types.output, row, column), types.output, mask, words);
    }
  }
}

}  // namespace fullint::detail
