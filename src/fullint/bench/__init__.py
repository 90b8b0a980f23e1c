"""Measuring speed: the engine beside what a user would otherwise run, in one process, by turns."""

from fullint.bench.benchmark import run_benchmark
from fullint.bench.instruction_sets import hold_peers_to
from fullint.bench.peers import PEERS, find_peers
from fullint.bench.results import BenchmarkResults, Measurement, load_results, save_results

__all__ = [
    "PEERS",
    "BenchmarkResults",
    "Measurement",
    "find_peers",
    "hold_peers_to",
    "load_results",
    "run_benchmark",
    "save_results",
]
