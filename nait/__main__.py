"""The command line: `nait key=value ...`."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from nait.cli.help import replace_null
from nait.core.errors import ConfigError, NaitError
from nait.core.inputs.paths import write_error
from nait.core.ranks import Workers, workers_from
from nait.runs.processes.launch import helper_overrides, prepare_process

TERMINATED = 128 + signal.SIGTERM
"""Exit code of a job that SIGTERM ended."""


def main() -> None:
    """Run the jobs of the command line. Exit code 2 means an error that the user can fix."""
    arguments = sys.argv[1:]
    if not arguments or not set(arguments).isdisjoint({"--help", "-h", "help"}):
        _print_help()
        return
    if "--version" in arguments:
        from nait import __version__

        print(f"nait {__version__}")
        return
    workers = workers_from(os.environ)
    prepare_process(workers)
    # Makes Hydra raise its errors instead of printing them, so that `_run` can translate them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # The Hub is contacted only on request: model=hf, data=hub, eval.online=true.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    logging.raiseExceptions = False  # no traceback for each line that cannot be written to the log file
    try:
        _run(arguments)
    except NaitError as error:
        _fail(str(error))
    except Exception as error:
        refused = write_error(error, folder=Path("paths.runs"))
        if refused is None:
            raise
        _fail(str(refused))
    except KeyboardInterrupt:
        _log_interruption("Interrupted", workers, arguments)
        sys.exit(128 + signal.SIGINT)
    except SystemExit as stop:
        if stop.code == TERMINATED:
            _log_interruption("Terminated", workers, arguments)
        raise


def _log_interruption(how: str, workers: Workers, arguments: Sequence[str]) -> None:
    """Log what an interrupted job has stored, and the command that continues it."""
    command = "the same command" if workers.count > 1 else f"`{shlex.join(['nait', *arguments])}`"
    logging.getLogger("nait").warning(
        "%s. The store keeps finished stages, all rows measured for scoring, and the last checkpoint of training "
        "(one every train.save_seconds). An evaluation starts from the beginning. To continue, run %s.",
        how, command,
    )  # fmt: skip


def _print_help() -> None:
    from nait.cli.help import help_text

    try:
        print(help_text(), flush=True)
    except BrokenPipeError:  # `nait -h | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: Sequence[str]) -> None:
    """Run the job or the sweep. Raises: NaitError; Hydra's errors are translated into ConfigError."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from nait.cli.app import run
    from nait.cli.command.command_line import hydra_line, split
    from nait.cli.command.config_errors import explain, unreadable
    from nait.cli.command.config_groups import loader_of

    line = split(replace_null(arguments))
    loader = loader_of(line.flags.config_dir)
    try:
        line = hydra_line(line, loader)
        with helper_overrides(workers_from(os.environ)) as added:
            sys.argv[1:] = [*line.arguments(), *added]
            run()
    except YAMLError as error:  # in a file of the user's --config-dir
        raise unreadable(error) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_nait_message(error) or explain(error, line.words, loader)) from error


def _nait_message(error: BaseException | None) -> str | None:
    """The message of the NaitError behind `error`, or None. OmegaConf keeps a resolver's error as the context."""
    while error is not None:
        if isinstance(error, NaitError):
            return str(error)
        error = error.__cause__ or error.__context__
    return None


def _fail(message: str) -> None:
    print(f"nait: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
