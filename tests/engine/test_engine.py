"""What the Python wrapper refuses and offers."""

from __future__ import annotations

import os

import numpy as np
import pytest

from fullint import engine
from fullint.engine import Engine, default_threads, supported_isas
from fullint.errors import FullintError
from fullint.integer import interpreter
from fullint.integer.model import IntegerModel
from fullint.integer.program import IntegerProgram

from .programs import ProgramBuilder, random_images


@pytest.fixture
def program() -> IntegerProgram:
    builder = ProgramBuilder(0)
    return builder.finish(builder.operand((1, 4), 0, 255))


def test_portable_code_is_always_there():
    assert supported_isas()[0] == "portable"


@pytest.mark.parametrize("isa", supported_isas())
def test_instruction_set_from_the_environment(program, monkeypatch, isa):
    monkeypatch.setenv("FULLINT_ISA", isa)
    assert Engine(program).isa == isa


def test_unknown_instruction_set(program, monkeypatch):
    with pytest.raises(FullintError, match="'mmx'"):
        Engine(program, isa="mmx")
    monkeypatch.setenv("FULLINT_ISA", "mmx")
    with pytest.raises(FullintError, match="mmx"):
        Engine(program)


def test_constants_are_released_while_they_are_packed():
    builder = ProgramBuilder(0)
    x = builder.operand((1, 1, 2048), 0, 1)
    layers = []
    for _ in range(3):  # of two million weights
        weights, bias = builder.integers(-2, 2, (1024, 2048)), np.zeros(1024, int)
        names = [builder.constant(weights), builder.constant(bias)]
        layers.append(builder.add("linear", [x, *names], (1, 1, 1024)))
    program = builder.finish(builder.add("concat", layers, (1, 1, 3072), dim=2))
    images, calls = random_images(program, 2, 0), []
    expected = interpreter.run(program, images)
    native = Engine(program, release=lambda: calls.append(len(calls)))
    assert len(calls) == 4  # after each layer, and at the end
    assert np.array_equal(native.run(images), expected)


def test_an_error_in_release_is_told(program):
    def fail() -> None:
        raise OSError("no such mapping")

    with pytest.raises(OSError, match="no such mapping"):
        Engine(program, release=fail)


def test_threads_from_the_environment(program, monkeypatch):
    monkeypatch.setenv("FULLINT_THREADS", "3")
    assert default_threads() == Engine(program).threads == 3
    assert Engine(program, threads=2).threads == 2


@pytest.mark.parametrize("name", ["sched_getaffinity", "cpu_count"])
def test_threads_on_a_machine_of_many_processors(program, monkeypatch, name):
    monkeypatch.delenv("FULLINT_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5000)
    if name == "sched_getaffinity":
        monkeypatch.setattr(os, name, lambda _: set(range(5000)), raising=False)
    assert default_threads() == Engine(program).threads == 1024


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_wrong_threads_in_the_environment(monkeypatch, value):
    monkeypatch.setenv("FULLINT_THREADS", value)
    with pytest.raises(FullintError, match="FULLINT_THREADS"):
        default_threads()


@pytest.mark.parametrize("threads", [0, -1, 5000])
def test_wrong_number_of_threads(program, threads):
    with pytest.raises(FullintError, match="threads"):
        Engine(program, threads=threads)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 1, 1, 4), np.int16),
        np.zeros((1, 1, 1, 5), np.uint8),
        np.zeros((1, 1, 4), np.uint8),
        np.zeros((1, 4, 1, 1), np.uint8),
    ],
)
def test_wrong_pixels(program, pixels):
    with pytest.raises(FullintError, match="uint8 images of shape"):
        Engine(program).run(pixels)


def test_without_the_compiled_module(program, monkeypatch):
    monkeypatch.setattr(engine, "_engine", None)
    assert not engine.available()
    assert supported_isas() == []
    with pytest.raises(FullintError, match="not installed"):
        Engine(program)


class TestModel:
    """What `IntegerModel` runs, and FULLINT_ENGINE."""

    @pytest.fixture
    def pixels(self, program) -> np.ndarray:
        return random_images(program, 3, seed=0)

    @pytest.mark.parametrize("choice", ["", "native"])
    def test_runs_the_engine(self, program, pixels, monkeypatch, choice):
        monkeypatch.setenv("FULLINT_ENGINE", choice)
        monkeypatch.setattr(interpreter, "run", None)
        np.testing.assert_array_equal(IntegerModel(program)(pixels), Engine(program).run(pixels))

    def test_the_interpreter_on_demand(self, program, pixels, monkeypatch):
        monkeypatch.setenv("FULLINT_ENGINE", "interpreter")
        monkeypatch.setattr(engine, "Engine", None)
        expected = interpreter.run(program, pixels)
        np.testing.assert_array_equal(IntegerModel(program)(pixels), expected)

    def test_the_interpreter_where_the_engine_is_not_installed(self, program, pixels, monkeypatch):
        expected = interpreter.run(program, pixels)
        monkeypatch.setattr(engine, "_engine", None)
        np.testing.assert_array_equal(IntegerModel(program)(pixels), expected)
        monkeypatch.setenv("FULLINT_ENGINE", "native")
        with pytest.raises(FullintError, match="not installed"):
            IntegerModel(program)(pixels)

    def test_an_unknown_choice(self, program, pixels, monkeypatch):
        monkeypatch.setenv("FULLINT_ENGINE", "gpu")
        with pytest.raises(FullintError, match="FULLINT_ENGINE is 'gpu'"):
            IntegerModel(program)(pixels)
