"""A process that has imported all modules and forks for each command: what `python -m nait` does, sooner.

Other tests start real processes; these need a command's outcome alone.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LARGE = (
    "torch", "transformers.models.llama.modeling_llama", "transformers.trainer", "peft", "lm_eval.evaluator",
    "datasets", "hydra.core.plugins", "pandas", "pyarrow.parquet", "scipy.stats", "sklearn.decomposition",
    "matplotlib.figure",
)  # fmt: skip
OURS = (
    "nait.cli.app", "nait.cli.subcommands.main_app", "nait.cli.subcommands.hydra_jobs", "nait.neurons.scorer",
    "nait.nano.world", "nait.runs.execution", "nait.runs.assembly", "nait.sweeps.__main__",
    "nait.sweeps.reports.full_report", "nait.training.trainer_run", "nait.eval.language_model.shared_prefix",
)  # fmt: skip
SECONDS = 300
"""A command that takes longer is ended, unless its test gives it more."""


@dataclass(frozen=True)
class Started:
    """A command in a fork. Its texts are files until `wait` reads them."""

    warm: Warm
    arguments: Sequence[str]
    pid: int
    texts: tuple[Path, Path]

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def running(self) -> bool:
        """Whether the command has not ended yet."""
        return self.warm.ask({"running": self.pid}) == 1

    def wait(self) -> subprocess.CompletedProcess[str]:
        """The ended command: its exit code, output and log."""
        code = self.warm.ask({"wait": self.pid})
        out, err = (path.read_text() for path in self.texts)
        for path in self.texts:
            path.unlink()
        return subprocess.CompletedProcess([*self.arguments], code, out, err)


class Warm:
    """Commands in forks of one process with this environment."""

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

    def ask(self, call: Mapping[str, Any]) -> int:
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps(call), file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def start(
        self, arguments: Sequence[str], *, cwd: Path, module: str = "nait", script: str = "",
        environment: Mapping[str, str] | None = None, seconds: int = SECONDS,
    ) -> Started:  # fmt: skip
        """`python -m MODULE`, or the script, with these arguments in this folder; `environment` adds variables.

        The command is ended after `seconds`.
        """
        texts = tuple(Path(tempfile.mkstemp(prefix=f"{name}-")[1]) for name in ("out", "err"))
        call = {"arguments": [*arguments], "cwd": str(cwd), "texts": [*map(str, texts)], "module": module}
        pid = self.ask({**call, "script": script, "environment": dict(environment or {}), "seconds": seconds})
        return Started(self, arguments, pid, (texts[0], texts[1]))

    def run(self, arguments: Sequence[str], *, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """`start`, and wait for the end."""
        return self.start(arguments, cwd=cwd, **options).wait()


def serve() -> None:
    """Answers each line of standard input with a line: a call with its pid, `wait` with the exit code.

    The answers have the pipe to themselves: what a library says while it is imported goes to standard error. The
    coverage of the large libraries is not measured, which would double the time of their import.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    coverage = sys.modules.get("coverage")  # started with the process, if at all
    measured = coverage.Coverage.current() if coverage else None
    if measured:
        measured.stop()
    for name in LARGE:
        importlib.import_module(name)
    if measured:
        measured.start()
    for name in OURS:
        importlib.import_module(name)
    compose_once()
    if measured:
        measured.stop()
    ended: dict[int, int] = {}
    for line in sys.stdin:
        call = json.loads(line)
        if "running" in call:
            pid, status = os.waitpid(call["running"], os.WNOHANG)
            answer = int(not pid)
            ended |= {pid: status} if pid else {}
        elif "wait" in call:
            status = ended.pop(call["wait"], None)
            answer = os.waitstatus_to_exitcode(os.waitpid(call["wait"], 0)[1] if status is None else status)
        else:
            answer = os.fork()
            if not answer:
                if measured:
                    measured.start()
                act(call)
        answers.write(f"{answer}\n")
        answers.flush()


def compose_once() -> None:
    """Compose a job: its YAML files and Hydra's grammar are then in memory."""
    from nait.cli.command.config_groups import compose, loader_of
    from tests.app import kept_yaml

    kept_yaml.keep()
    compose(loader_of(), [])


def act(call: Mapping[str, Any]) -> None:
    """Becomes the command, and ends with it."""
    for number, path in enumerate(call["texts"], start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.alarm(call["seconds"])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with it ignored
    os.environ.update(call["environment"])
    os.chdir(call["cwd"])
    sys.path[0] = call["cwd"]
    sys.argv = [call["script"] or call["module"], *call["arguments"]]
    code: Any = 0
    try:
        if call["script"]:
            runpy.run_path(call["script"], run_name="__main__")
        else:
            runpy.run_module(call["module"], run_name="__main__", alter_sys=True)
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
