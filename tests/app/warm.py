"""A process that has imported the large libraries and forks for each command: what `python -m nait` does, sooner.

Nothing of nait is imported before the fork. Other tests start real processes; these need a command's outcome alone.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LARGE = (
    "torch", "transformers.models.llama.modeling_llama", "transformers.trainer", "peft", "lm_eval.evaluator",
    "datasets", "hydra.core.plugins", "pandas", "pyarrow.parquet", "scipy.stats", "sklearn.decomposition",
    "matplotlib.figure",
)  # fmt: skip
SECONDS = 300
"""A command that takes longer is ended."""


class Warm:
    """Commands in forks of one process with this environment, one after the other."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self._end)

    def _end(self) -> None:
        with self.process:
            self.process.kill()

    def run(self, arguments: Sequence[str], *, cwd: Path) -> subprocess.CompletedProcess[str]:
        """`nait` with these arguments in this folder."""
        assert self.process.stdin
        assert self.process.stdout
        with tempfile.TemporaryDirectory() as folder:
            texts = [Path(folder, name) for name in ("out", "err")]
            call = {"arguments": [*arguments], "cwd": str(cwd), "texts": [*map(str, texts)]}
            print(json.dumps(call), file=self.process.stdin, flush=True)
            code = int(self.process.stdout.readline())
            out, err = (path.read_text() for path in texts)
        return subprocess.CompletedProcess(["nait", *arguments], code, out, err)


def serve() -> None:
    """Answers each line of standard input, a call, with a line, its exit code.

    The answers have the pipe to themselves: what a library says while it is imported goes to standard error.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in LARGE:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            act(json.loads(line))
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


def act(call: Mapping[str, Any]) -> None:
    """Becomes the command, and ends with it."""
    for number, path in enumerate(call["texts"], start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.alarm(SECONDS)
    os.chdir(call["cwd"])
    sys.path[0] = call["cwd"]
    sys.argv = ["nait", *call["arguments"]]
    code: Any = 0
    try:
        runpy.run_module("nait", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001 # as Python itself ends
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    serve()
