"""The command line as a whole: help, versions, errors, and what is imported when."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fullint
import fullint.cli.app
from fullint.cli.console import megabytes, printable

COMMANDS = ["quantize", "evaluate", "inspect", "recipes", "demo"]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments], capture_output=True, text=True
    )


def test_no_arguments_show_the_help(run: Callable) -> None:
    bare, asked = run(), run("--help")
    assert bare.code == asked.code == 0
    assert bare.out == asked.out
    assert all(f"\n  {command} " in bare.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_text_with_examples(run: Callable, command: str) -> None:
    outcome = run(command, "--help")
    assert outcome.code == 0
    assert "Examples:\n" in outcome.out
    assert f"\n    fullint {command}" in outcome.out


def test_python_m_shows_the_version() -> None:
    result = python("-m", "fullint", "--version")
    assert (result.returncode, result.stdout) == (0, f"fullint {fullint.__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [["quantise"], ["inspect"], ["evaluate", "out", "--data-dir", "x", "--batch-size", "0"]],
)
def test_wrong_usage_exits_with_2(run: Callable, arguments: list[str]) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert "Usage: fullint" in outcome.err


def test_an_unexpected_error_is_told_from_a_user_s(
    run: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(path: Path) -> None:
        raise ZeroDivisionError("three\nlines\x1b[31m here")

    monkeypatch.setattr(sys.modules["fullint.cli.inspect"], "load_model", broken)
    outcome = run("inspect", tmp_path)
    assert outcome.code == 1
    assert outcome.err.startswith("error: unexpected ZeroDivisionError: three lines\\x1b[31m here;")
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize("by_environment", [False, True])
def test_debug_shows_where_an_error_arises(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_environment: bool
) -> None:
    monkeypatch.setenv("FULLINT_DEBUG", "1" if by_environment else "0")
    outcome = run(*([] if by_environment else ["--debug"]), "inspect", tmp_path / "none")
    assert outcome.code == 1
    assert outcome.err.startswith("Traceback")
    assert outcome.err.splitlines()[-1].startswith("error: cannot load")
    monkeypatch.delenv("FULLINT_DEBUG")
    assert "Traceback" not in run("inspect", tmp_path / "none").err


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["quantize", "--help"], ["inspect", "ARTEFACT"], ["evaluate", "ARTEFACT", "DATA"]],
)
def test_what_needs_no_torch_does_not_import_it(
    arguments: list[str], artefact: Path, images: Path
) -> None:
    known = {"ARTEFACT": str(artefact), "DATA": f"--data-dir={images}"}
    filled = [known.get(argument, argument) for argument in arguments]
    program = (
        "import sys; from fullint.cli import main\n"
        f"code = main({filled!r})\n"
        "assert not {'torch', 'timm', 'torchvision'} & set(sys.modules), 'imported'\n"
        "sys.exit(code)"
    )
    result = python("-c", program)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("command", ["quantize", "evaluate", "demo"])
def test_a_missing_extra_is_told_with_the_command_that_installs_it(
    command: str, artefact: Path, images: Path, tmp_path: Path
) -> None:
    arguments = {
        "quantize": ["any", f"--data-dir={images}", f"-o{tmp_path / 'out'}"],
        "evaluate": [str(artefact), f"--data-dir={images}", "--reference", "any"],
        "demo": [],
    }
    program = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['torch', 'timm', 'torchvision']))\n"
        "from fullint.cli import main\n"
        f"sys.exit(main({[command, *arguments[command]]!r}))"
    )
    result = python("-c", program)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert last.endswith("torch, which is not installed here; run: pip install 'fullint[quantize]'")
    assert "Traceback" not in result.stderr
    assert os.listdir(tmp_path) == []


def test_printable_text_cannot_steer_the_terminal() -> None:
    assert printable("a\tb\r\n\x1b[2Jc\u202e · é") == "a\\tb \\x1b[2Jc\\u202e · é"


def test_sizes_are_in_units_of_their_magnitude() -> None:
    assert [megabytes(99_999), megabytes(22_870_000)] == ["99999 bytes", "22.87 MB"]
