"""Starting a task in a process of its own, and listening to it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fullint.errors import FullintError
from fullint.recipe_comparison.job import Job

_WORKER = "fullint.recipe_comparison.worker"


def run_task(
    task: str,
    job: Job,
    arguments: dict[str, Any],
    log: Path,
    report: Callable[[str, int, int], None],
) -> dict[str, Any]:
    """Result of one of `tasks.TASKS` with these arguments.

    `log` receives what the process prints, and stays only if it fails.

    Raises:
        FullintError: the task's own sentence, or how its process ended.
    """
    # The same modules as here, wherever they were found.
    program = f"import sys; sys.path[:] = {sys.path!r}; from {_WORKER} import main; main()"
    request = json.dumps({"task": task, "job": job.to_dict(), "arguments": arguments})
    failed = False
    try:
        with (
            log.open("wb") as printed,
            subprocess.Popen(
                [sys.executable, "-c", program, request],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=printed,
                encoding="utf-8",
            ) as process,
        ):
            try:
                answer = _listen(process, report)
            finally:
                process.kill()  # after an answer or an interrupt there is nothing left to do
        failed = "result" not in answer
    finally:
        if not failed:
            log.unlink(missing_ok=True)
    if failed:
        sentence = answer.get("error") or _ending(process.returncode)
        raise FullintError(f"{sentence} (more in {str(log)!r})")
    result: dict[str, Any] = answer["result"]
    return result


def _listen(
    process: subprocess.Popen[str], report: Callable[[str, int, int], None]
) -> dict[str, Any]:
    """The answer that ends the task; empty where the process ended without one."""
    assert process.stdout is not None
    for line in process.stdout:
        if not line.endswith("\n"):  # it was killed while writing
            break
        answer: dict[str, Any] = json.loads(line)
        if "progress" not in answer:
            return answer
        report(*answer["progress"])
    process.wait()
    return {}


def _ending(code: int) -> str:
    if code >= 0:
        return f"its process ended with status {code}"
    name = signal.Signals(-code).name
    reason = ", as when memory runs out" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{reason}"
