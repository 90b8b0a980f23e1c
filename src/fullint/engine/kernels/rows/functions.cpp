#include "rows/rows.h"

#define FULLINT_JOINED(name, set) name##set
#define FULLINT_OF_SET(name, set) FULLINT_JOINED(name, set)

namespace fullint::detail {

extern const RowFunctions FULLINT_OF_SET(row_functions_, FULLINT_SET);
const RowFunctions FULLINT_OF_SET(row_functions_, FULLINT_SET){
    {FULLINT_SET::e2softmax, FULLINT_SET::itamax, FULLINT_SET::shiftmax},
    {FULLINT_SET::ailayernorm, FULLINT_SET::i_layernorm},
    {FULLINT_SET::ibert_gelu, FULLINT_SET::shiftgelu}};

}  // namespace fullint::detail
