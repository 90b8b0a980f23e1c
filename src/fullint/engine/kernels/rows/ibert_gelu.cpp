// ops/ibert_gelu.py
#include "rows/driver.h"
#include "rows/gated.h"
#include "rows/rows.h"

namespace fullint::detail::FULLINT_SET {

void ibert_gelu(const RowGelu& gelu, const RowTypes& types, int64_t rows, const ConstRows& x, const Rows& out) {
  const Rescaling rescaled(gelu.factor);
  const Gated gated(gelu);
  for_each_row(types, rows, x, out, [&](int32_t* values) {
    for (int64_t column = 0; column < types.columns; ++column) {
      const int32_t centred = values[column] - gelu.zero_x, sign = (centred > 0) - (centred < 0);
      const int32_t missing = gelu.edge - least_of(rescaled(centred * sign), gelu.edge);
      const int32_t gate = (gelu.unit + sign * (gelu.unit - missing * missing)) >> gelu.gate_shift;
      values[column] = gated(centred, gate);
    }
  });
}

}  // namespace fullint::detail::FULLINT_SET
