"""The process that does one task: the request as argument, JSON lines about it on stdout."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any


def main() -> None:
    """Do the task that the first argument asks for.

    The request is {"task": name, "job": ..., "arguments": ...}. The answers are any number of
    {"progress": [step, done, total]} and one {"result": ...} or {"error": sentence}.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # whatever libraries print is no answer

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")

    def report(step: str, done: int, total: int) -> None:
        answer(progress=[step, done, total])

    request = json.loads(sys.argv[1])
    try:
        from fullint.recipe_comparison.job import Job
        from fullint.recipe_comparison.tasks import TASKS

        job = Job.from_dict(request["job"])
        answer(result=TASKS[request["task"]](job, report, **request["arguments"]))
    except Exception as error:
        traceback.print_exc()
        answer(error=_sentence(error))


def _sentence(error: Exception) -> str:
    from fullint.errors import FullintError

    if isinstance(error, FullintError):
        return str(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    return f"unexpected {type(error).__name__}: {error}"
