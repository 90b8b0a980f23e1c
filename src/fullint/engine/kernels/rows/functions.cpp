#include "rows/rows.h"

#define FULLINT_JOINED(name, set) name##set
#define FULLINT_OF_SET(name, set) FULLINT_JOINED(name, set)

namespace fullint::detail {

extern const RowFunctions FULLINT_OF_SET(row_functions_, FULLINT_SET);
const RowFunctions FULLINT_OF_SET(row_functions_, FULLINT_SET){{FULLINT_SET::e2softmax, FULLINT_SET::shiftmax},
                                                                FULLINT_SET::ailayernorm};

}  // namespace fullint::detail
