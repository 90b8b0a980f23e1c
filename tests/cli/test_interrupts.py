"""Ctrl-C and SIGTERM, with real signals: what is said, and what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import fullint
from fullint.cli.interrupts import Interrupts

# The signal is sent by the process itself, on its way into a function: always at the same moment.
DRIVER = """
import functools, importlib, os, sys
from fullint.cli import main

def with_signal(module, name, number, after):
    module = importlib.import_module(module)
    owner, _, attribute = name.rpartition(".")
    owner = getattr(module, owner) if owner else module
    function = getattr(owner, attribute)
    @functools.wraps(function)
    def wrapper(*arguments, **options):
        if not after:
            os.kill(os.getpid(), number)
        result = function(*arguments, **options)
        if after:
            os.kill(os.getpid(), number)
        return result
    setattr(owner, attribute, wrapper)

with_signal({module!r}, {name!r}, {number}, {after})
sys.exit(main({arguments!r}))
"""


def interrupted(
    arguments: list[str], where: str, *, after: bool = False, number: int = signal.SIGINT
) -> tuple[int, list[str]]:
    """Exit status and stderr of `fullint` when a signal comes at the function module:name."""
    module, name = where.split(":")
    program = DRIVER.format(
        module=module, name=name, number=int(number), after=after, arguments=arguments
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=100
    )
    return result.returncode, result.stderr.splitlines()


@pytest.fixture
def quantize(model_options: list[str], images: Path, tmp_path: Path) -> list[str]:
    return ["quantize", *model_options, f"--data-dir={images}", f"-o{tmp_path / 'new' / 'out'}"]


@pytest.mark.parametrize(
    ("where", "number"),
    [
        ("fullint.data.preprocessing:Preprocessing.from_timm", signal.SIGTERM),
        ("fullint.quantization.graph:GraphRunner.run_node", signal.SIGINT),
        ("fullint.lowering.comparison:compare", signal.SIGINT),
    ],
)
def test_nothing_is_left_of_interrupted_work(
    quantize: list[str], tmp_path: Path, where: str, number: signal.Signals
) -> None:
    code, errors = interrupted(quantize, where, number=number)
    assert errors == ["interrupted; nothing was written"]
    assert code in (128 + number, -number)  # Python may end itself by the signal, as shells expect
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "after"), [("_write_durably", False), ("_write_durably", True), ("_settle", True)]
)
def test_saving_that_has_begun_is_finished(
    quantize: list[str], tmp_path: Path, name: str, after: bool
) -> None:
    code, errors = interrupted(quantize, f"fullint.integer.output_directory:{name}", after=after)
    out = tmp_path / "new" / "out"
    assert errors == [f"interrupted; the model was saved in '{out}' before"]
    assert code == 130
    assert os.listdir(tmp_path / "new") == ["out"]
    assert fullint.load(out).classes == 3


def test_an_error_while_saving_leaves_nothing(quantize: list[str], tmp_path: Path) -> None:
    program = (
        "import sys, fullint.integer.output_directory as d; from fullint.cli import main\n"
        "def full(path): raise OSError(28, 'No space left on device')\n"
        f"d._flush_directory = full; sys.exit(main({quantize!r}))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 1
    assert "cannot be written: No space left on device" in result.stderr
    assert os.listdir(tmp_path) == []


def test_a_signal_from_outside_during_the_evaluation(
    artefact: Path, images: Path, tmp_path: Path
) -> None:
    program = (
        "import sys, time, fullint.evaluation as e; from fullint.cli import main\n"
        "def evaluate(*_): print('now', flush=True); time.sleep(60)\n"
        "e.evaluate = evaluate\n"
        f"sys.exit(main(['evaluate', {str(artefact)!r}, '--data-dir', {str(images)!r}, "
        f"'--results-file', {str(tmp_path / 'r.csv')!r}]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "now\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode in (130, -signal.SIGINT)
    assert errors.splitlines()[-1] == "interrupted; nothing was written"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("converted", [pytest.param(False, marks=pytest.mark.slow), True])
def test_an_interrupt_that_a_library_swallows_is_not_lost(
    quantize: list[str], tmp_path: Path, converted: bool
) -> None:
    program = (
        "import os, signal, sys, fullint.sources as s; from fullint.cli import main\n"
        "load = s._load_weights\n"
        "def swallow(*arguments):\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    except KeyboardInterrupt:\n"
        f"        if {converted}: raise ImportError('numpy') from None\n"
        "    load(*arguments)\n"
        f"s._load_weights = swallow; sys.exit(main({quantize!r}))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 130
    assert result.stderr.splitlines() == ["interrupted; nothing was written"]
    assert os.listdir(tmp_path) == []


def test_handlers_are_put_back_and_an_ignored_signal_stays_ignored() -> None:
    before = signal.getsignal(signal.SIGINT)
    ignored = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Interrupts().caught():
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGINT) != before
    finally:
        signal.signal(signal.SIGTERM, ignored)
    assert signal.getsignal(signal.SIGINT) == before


def test_a_signal_is_held_back_until_the_block_is_done() -> None:
    interrupts = Interrupts()
    steps = []
    with interrupts.caught():
        with pytest.raises(KeyboardInterrupt), interrupts.held_back("this is done"):
            signal.raise_signal(signal.SIGINT)
            steps.append("after the signal")
        with pytest.raises(KeyboardInterrupt), interrupts.held_back("this is not"):
            steps.append("never")
    assert steps == ["after the signal"]
    assert interrupts.sentence() == "interrupted; this is done"
