from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fullint.errors import FullintError
from fullint.integer.output_directory import check_output, replace_file, write_directory

OLD, NEW = {"a": b"old", "b": b"old"}, {"a": b"new", "b": b"new"}

# Sends itself a real SIGINT at the n-th line that is executed in the module, for every n in turn,
# and looks at what is left. Prints the number of interrupts.
INTERRUPT_EVERYWHERE = """
import os, shutil, signal, sys
from pathlib import Path
from fullint.integer import output_directory

OLD, NEW = {"a": b"old", "b": b"old"}, {"a": b"new", "b": b"new"}
root, overwrite = Path(sys.argv[1]), sys.argv[2] == "overwrite"
final = root / "parent" / "out"
os.fsync = lambda descriptor: None

def interrupt_at(line):
    def on_event(frame, event, argument):
        if not frame.f_code.co_filename == output_directory.__file__:
            return None
        global lines
        lines += event == "line"
        if event == "line" and lines == line:
            os.kill(os.getpid(), signal.SIGINT)
        return on_event
    return on_event

for line in range(1, 10_000):
    lines, finished = 0, False
    if overwrite:
        output_directory.write_directory(final, OLD, overwrite=False, verify=os.listdir)
    sys.settrace(interrupt_at(line))
    try:
        output_directory.write_directory(final, NEW, overwrite=overwrite, verify=os.listdir)
        finished = True
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    left = {name: sorted(os.listdir(root / name)) for name in os.listdir(root)}
    if final.exists():
        assert left == {"parent": ["out"]}, (line, left)
        found = {name: (final / name).read_bytes() for name in os.listdir(final)}
        assert found == NEW or (overwrite and found == OLD), (line, found)
        shutil.rmtree(root / "parent")
    else:
        assert not overwrite and left == {}, (line, left)
    if finished:
        print(line - 1)
        break
"""


def names(path: Path) -> list[str]:
    return sorted(os.listdir(path))


def write(path: Path, files: dict[str, bytes] = NEW, *, overwrite: bool = False) -> None:
    write_directory(path, files, overwrite=overwrite, verify=os.listdir)


def contents(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in os.listdir(path)}


def test_all_files_and_missing_parents_are_made(tmp_path: Path) -> None:
    write(tmp_path / "x" / "y" / "out")
    assert contents(tmp_path / "x" / "y" / "out") == NEW
    assert names(tmp_path / "x" / "y") == ["out"]


def test_permissions_are_those_of_any_new_directory(tmp_path: Path) -> None:
    (tmp_path / "ordinary").mkdir()
    write(tmp_path / "out")
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize("taken", ["empty directory", "model", "file", "dangling link"])
def test_a_taken_path_is_refused(taken: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    match taken:
        case "empty directory":
            out.mkdir()
        case "model":
            write(out, OLD)
        case "file":
            out.write_text("text")
        case _:
            out.symlink_to("nowhere")
    before = names(tmp_path)
    with pytest.raises(FullintError, match="exists already"):
        write(out)
    with pytest.raises(FullintError, match="exists already"):
        check_output(out, NEW, overwrite=False)
    assert names(tmp_path) == before


def test_overwriting_replaces_all_files(tmp_path: Path) -> None:
    write(tmp_path / "out", OLD)
    write(tmp_path / "out", {"a": b"new"} | {"b": b"new"}, overwrite=True)
    assert contents(tmp_path / "out") == NEW
    assert names(tmp_path) == ["out"]


def test_overwriting_spares_what_is_not_ours(tmp_path: Path) -> None:
    write(tmp_path / "out", OLD)
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(FullintError, match=r"holds 'thesis.tex'.*not overwritten"):
        write(tmp_path / "out", overwrite=True)
    (tmp_path / "file").write_text("text")
    with pytest.raises(FullintError, match="not a folder"):
        write(tmp_path / "file", overwrite=True)
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"


def test_overwriting_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    write(tmp_path / "real", OLD)
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "real") == NEW


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("error", [FullintError("refused"), ValueError(), KeyboardInterrupt()])
def test_an_error_leaves_no_trace(error: BaseException, overwrite: bool, tmp_path: Path) -> None:
    def fail(_: Path) -> None:
        raise error

    if overwrite:
        write(tmp_path / "out", OLD)
    with pytest.raises((FullintError, KeyboardInterrupt)):
        write_directory(tmp_path / "out", NEW, overwrite=overwrite, verify=fail)
    assert names(tmp_path) == (["out"] if overwrite else [])
    assert not overwrite or contents(tmp_path / "out") == OLD


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failing_last_step_brings_the_old_directory_back(
    overwrite: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def fail_on_new(source: Path, target: Path) -> None:
        if source.suffix == ".new":
            raise OSError(28, "No space left on device")
        rename(source, target)

    if overwrite:
        write(tmp_path / "out", OLD)
    monkeypatch.setattr(os, "rename", fail_on_new)
    with pytest.raises(FullintError, match="cannot be written: No space left"):
        write(tmp_path / "out", overwrite=overwrite)
    assert names(tmp_path) == (["out"] if overwrite else [])
    assert not overwrite or contents(tmp_path / "out") == OLD


@pytest.mark.parametrize("mode", ["new", "overwrite"])
def test_an_interrupt_at_any_line_leaves_all_or_nothing(mode: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", INTERRUPT_EVERYWHERE, str(tmp_path), mode],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 50


@pytest.mark.parametrize("path", ["file/out", "a\0b", "x" * 300])
def test_an_impossible_path_is_refused(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(FullintError, match="cannot be written"):
        write(tmp_path / path)
    assert names(tmp_path) == ["file"]


def test_a_path_that_cannot_be_written_is_known_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(FullintError, match="not a writable folder"):
        check_output(tmp_path / "file" / "out", NEW, overwrite=False)
    check_output(tmp_path / "new" / "out", NEW, overwrite=False)
    assert names(tmp_path) == ["file"]


def test_a_file_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"

    def fail(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        replace_file(path, b"newer")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]
