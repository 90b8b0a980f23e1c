"""Search: rounds that refine the grids by a metric."""
