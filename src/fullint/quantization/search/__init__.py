"""Search: rounds that refine the grids calibration chose, by a metric.

`driver` carries a recipe's SearchConfig out; `candidates` says which grids are tried and `metrics`
which of them is best; `spaces` what can be searched.
"""

from fullint.quantization.search import driver  # noqa: F401  (imported for its registration)
