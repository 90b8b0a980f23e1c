"""Processes that answer, fail, talk too much, or die."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fullint.errors import FullintError
from fullint.recipe_comparison import subprocess_task
from fullint.recipe_comparison.job import Job

ANSWERS = """
import json, os, signal, sys, time
def main():
    request = json.loads(sys.argv[1])
    def answer(**values): print(json.dumps(values), flush=True)
    {body}
"""


@pytest.fixture
def run(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Function of a worker's body to what `run_task` gives, and to the steps it reported."""

    def function(body: str) -> tuple[dict, list]:
        (tmp_path / "some_worker.py").write_text(ANSWERS.format(body=body))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(subprocess_task, "_WORKER", "some_worker")
        steps: list = []
        log = tmp_path / "log.txt"
        result = subprocess_task.run_task(
            "cell", job, {"x": 1}, log, lambda *step: steps.append(step)
        )
        return result, steps

    return function


def test_request_progress_and_result(run, job: Job, tmp_path: Path) -> None:
    result, steps = run("answer(progress=['a', 1, 2]); print('noise', file=sys.stderr); "
                        "answer(result=request)")  # fmt: skip
    assert steps == [("a", 1, 2)]
    assert Job.from_dict(result.pop("job")) == job
    assert result == {"task": "cell", "arguments": {"x": 1}}
    assert not (tmp_path / "log.txt").exists()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("answer(error='layer 3 overflows')", "layer 3 overflows"),
        ("1 / 0", "its process ended with status 1"),
        ("os._exit(3)", "its process ended with status 3"),
        ("sys.stdout.write('{\"progr'); sys.stdout.flush(); os._exit(4)", "with status 4"),
        pytest.param(
            "os.kill(os.getpid(), signal.SIGKILL)",
            "was ended by SIGKILL, as when memory runs out",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="no signals"),
        ),
    ],
)
def test_a_failure_is_one_sentence_and_leaves_what_was_printed(
    run, tmp_path: Path, body: str, sentence: str
) -> None:
    with pytest.raises(FullintError, match=f"{sentence}.* \\(more in '.*log.txt'\\)"):
        run(f"print('the last words', file=sys.stderr, flush=True); {body}")
    assert "the last words" in (tmp_path / "log.txt").read_text()


def test_an_interrupt_ends_the_process(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "answer(progress=[str(os.getpid()), 1, 1]); time.sleep(600)"
    (tmp_path / "some_worker.py").write_text(ANSWERS.format(body=body))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(subprocess_task, "_WORKER", "some_worker")
    started: list[int] = []

    def interrupt(step: str, done: int, total: int) -> None:
        started.append(int(step))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        subprocess_task.run_task("cell", job, {}, tmp_path / "log.txt", interrupt)
    assert not Path(f"/proc/{started[0]}").exists()
    assert not (tmp_path / "log.txt").exists()


def test_the_worker_tells_an_error_from_a_defect(job: Job, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    steps: list = []
    with pytest.raises(FullintError, match=r"unexpected TypeError: .*'nonsense'.* \(more in"):
        subprocess_task.run_task(
            "cell", job, {"nonsense": 1}, tmp_path / "log.txt", lambda *step: steps.append(step)
        )
    assert "Traceback" in (tmp_path / "log.txt").read_text()
