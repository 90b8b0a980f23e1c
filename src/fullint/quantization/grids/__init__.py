"""Number grids: what a quantizer has decided, one file a kind. A grid rounds tensors in float
simulation and tells lowering its integers.

Two kinds of grid serve every method: `UniformGrid`, and `LevelGrid` for any finite set of levels
that a table gives.
The files `log_sqrt2`, `adalog`, `twin`, `shift_uniform_log2` and `tangent` make level grids of
published sets from their parameters. `Log2Grid` and `RowRelativeGrid` have integer operations of
their own.
"""

from fullint.quantization.grids.adalog import adalog_activation_grid, adalog_grid
from fullint.quantization.grids.level import LevelGrid
from fullint.quantization.grids.log2 import Log2Grid
from fullint.quantization.grids.log_sqrt2 import log_sqrt2_grid
from fullint.quantization.grids.row_relative import RowRelativeGrid
from fullint.quantization.grids.shift_uniform_log2 import shift_uniform_log2_grid
from fullint.quantization.grids.tangent import tangent_grid
from fullint.quantization.grids.twin import twin_activation_grid, twin_grid
from fullint.quantization.grids.uniform import (
    SCALE_OF_ZERO,
    SMALLEST_SCALE,
    SMALLEST_SHARE,
    UniformGrid,
    uniform_grid,
)

Grid = UniformGrid | LevelGrid | Log2Grid | RowRelativeGrid

__all__ = [
    "SCALE_OF_ZERO",
    "SMALLEST_SCALE",
    "SMALLEST_SHARE",
    "Grid",
    "LevelGrid",
    "Log2Grid",
    "RowRelativeGrid",
    "UniformGrid",
    "adalog_activation_grid",
    "adalog_grid",
    "log_sqrt2_grid",
    "shift_uniform_log2_grid",
    "tangent_grid",
    "twin_activation_grid",
    "twin_grid",
    "uniform_grid",
]
