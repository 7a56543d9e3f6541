"""Laws of sizes: the embedded tasks' are known beforehand and are what the tasks have; no other is guessed."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

from nait.core.contracts import Sizes
from nait.eval.harness import LmEval
from nait.eval.suites.embedded_sizes import EMBEDDED


def test_the_embedded_tasks_sizes_are_known_without_the_harness() -> None:
    code = (
        "import sys; from nait.eval.harness import LmEval; s = LmEval(['nano', 'nano_math'], limit=50).sizes();"
        "assert len(s) == 5 and set(s.values()) == {50};"
        " assert not {'lm_eval', 'torch', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert LmEval(["nano_math"]).sizes() == {"nano_math": EMBEDDED}
    assert isinstance(LmEval(["nano_math"]), Sizes)


def test_the_known_size_is_what_the_tasks_have() -> None:
    from nait.eval.tasks.nano import tasks

    assert inspect.signature(tasks.items).parameters["n"].default == EMBEDDED


def test_a_suite_with_a_task_of_unknown_size_is_of_unknown_size(task_folder: Path) -> None:
    assert LmEval(["nano_math", "toy_small"], include=[str(task_folder)], online=True).sizes() == {}
