// FULLINT_UNROLL before a loop over a few accumulators keeps them in registers. GCC would unroll it so late that it stores all
// of them in every step, which takes as long again as the products.
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
#define FULLINT_UNROLL _Pragma("GCC unroll 16")
#else
#define FULLINT_UNROLL
#endif
