// ops/lookup.py for tables of up to 2^16 words.
#include "avx2/avx2.h"
#include "avx2/epilogue.h"
#include "avx2/gather.h"

namespace fullint::detail {

void word_lookup_avx2(const WordLookupData& data, int64_t rows, const ConstRows& x, const Rows& out) {
  const RowTypes& types = data.types;
  const __m256i offset = _mm256_set1_epi16(static_cast<int16_t>(data.offset));
  for (int64_t row = 0; row < rows; ++row) {
    int64_t column = 0;
    for (; column + 16 <= types.columns; column += 16) {
      const __m256i codes = load_words_16(element(x, types.input, row, column), types.input, 16);
      const __m256i words = gather_words(data.table, _mm256_sub_epi16(codes, offset));
      store_words_16(element(out, types.output, row, column), types.output, 16, words);
    }
    const char* from = element(x, types.input, row, 0);
    char* to = element(out, types.output, row, 0);
    for (; column < types.columns; ++column)
      store(to, types.output, column, data.table[load(from, types.input, column) - data.offset]);
  }
}

}  // namespace fullint::detail
