"""The quantized graph: a captured model with quantizers on its edges, and what sets their grids."""
