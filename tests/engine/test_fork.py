"""Child processes of a process whose threads are computing."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

from fullint.engine import Engine, supported_isas

from .programs import ProgramBuilder, random_images

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    # Python 3.12 warns of what is tested here.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def exits_well(child: int, seconds: float) -> bool:
    """Wait for a child process; end it if it takes longer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        process, status = os.waitpid(child, os.WNOHANG)
        if process:
            return status == 0
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


@pytest.mark.parametrize("isa", supported_isas())
def test_children_compute_while_other_threads_did(isa):
    builder = ProgramBuilder(0)
    program = builder.finish(builder.operand((1, 4), 0, 255))
    engine = Engine(program, threads=3, isa=isa)
    pixels = random_images(program, 4, seed=0)
    expected = engine.run(pixels)
    stop = threading.Event()

    def keep_running() -> None:
        while not stop.is_set():
            engine.run(pixels)

    threads = [threading.Thread(target=keep_running) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(150):
            child = os.fork()
            if child == 0:
                try:
                    os._exit(0 if np.array_equal(engine.run(pixels), expected) else 1)
                finally:
                    os._exit(2)
            assert exits_well(child, seconds=20)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
