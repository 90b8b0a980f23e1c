"""Whole models, threads, batches and memory."""

from __future__ import annotations

import os
import threading
import warnings

import numpy as np
import pytest

from fullint.engine import Engine, supported_isas
from fullint.integer import interpreter
from fullint.integer.program import IntegerProgram

from .programs import random_images
from .transformers import RECIPES, small_swin, small_vision_transformer

BUILDERS = {"vision transformer": small_vision_transformer, "swin": small_swin}


@pytest.fixture(scope="module", params=[(name, recipe) for name in BUILDERS for recipe in RECIPES])
def program(request) -> IntegerProgram:
    name, recipe = request.param
    return BUILDERS[name](recipe)


@pytest.fixture(scope="module")
def pixels(program) -> np.ndarray:
    return random_images(program, 5, seed=1)


@pytest.fixture(scope="module")
def expected(program, pixels) -> np.ndarray:
    return interpreter.run(program, pixels)


@pytest.mark.parametrize("isa", supported_isas())
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_equal_logits(program, pixels, expected, isa, threads):
    engine = Engine(program, threads=threads, isa=isa)
    assert (engine.isa, engine.threads) == (isa, threads)
    for count in (0, 1, 2, 5):
        np.testing.assert_array_equal(engine.run(pixels[:count]), expected[:count])


def test_non_contiguous_and_read_only_pixels(program, pixels, expected):
    engine = Engine(program, threads=1)
    channels_first = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    channels_first.flags.writeable = False
    np.testing.assert_array_equal(engine.run(channels_first.transpose(0, 2, 3, 1)), expected)
    np.testing.assert_array_equal(engine.run(pixels[::-1]), expected[::-1])


@pytest.mark.parametrize("threads", [1, 2])
def test_many_python_threads_share_an_engine(program, pixels, expected, threads):
    engine = Engine(program, threads=threads)
    failures = []

    def work(start: int) -> None:
        for round_ in range(20):
            first = (start + round_) % 4
            if not np.array_equal(engine.run(pixels[first:]), expected[first:]):
                failures.append(start)

    workers = [threading.Thread(target=work, args=(start,)) for start in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_has_threads_of_its_own(program, pixels, expected):
    engine = Engine(program, threads=2)
    engine.run(pixels[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's, of forking with threads
        child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(engine.run(pixels), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_profile_covers_the_run(program, pixels):
    times = Engine(program, threads=1).profile(pixels)
    assert sum(time.share for time in times) == pytest.approx(1)
    assert {"linear", "layer_norm"} <= {time.kind for time in times}
    assert all(time.operations > 0 for time in times if time.kind in ("linear", "attention"))
