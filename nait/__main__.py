"""The command line: `nait key=value ...`."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from nait.cli.help import named_none
from nait.core.errors import ConfigError, NaitError
from nait.core.inputs.paths import cannot_write
from nait.core.ranks import Workers, workers_of
from nait.runs.processes import overrides, settle

TERMINATED = 128 + signal.SIGTERM
"""The exit code of a job that SIGTERM has ended."""


def main() -> None:
    """Runs the jobs that the command line describes. Exit code 2: something the user can mend."""
    arguments = sys.argv[1:]
    if not arguments or not set(arguments).isdisjoint({"--help", "-h", "help"}):
        _print_help()
        return
    if "--version" in arguments:
        from nait import __version__

        print(f"nait {__version__}")
        return
    workers = workers_of(os.environ)
    settle(workers)
    # Hydra then raises its errors instead of printing them, and they get our words and exit code.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # A Hub is asked only when a config says so: model=hf, data=hub, eval.online=true.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    logging.raiseExceptions = False  # a log that cannot be written does not print a traceback on each line
    try:
        _run(arguments)
    except NaitError as error:
        _fail(str(error))
    except Exception as error:
        refused = cannot_write(error, folder=Path("paths.runs"))
        if refused is None:
            raise
        _fail(str(refused))
    except KeyboardInterrupt:
        _stopped("Interrupted", workers, arguments)
        sys.exit(128 + signal.SIGINT)
    except SystemExit as left:
        if left.code == TERMINATED:
            _stopped("Terminated", workers, arguments)
        raise


def _stopped(how: str, workers: Workers, arguments: Sequence[str]) -> None:
    """Says what an interrupt leaves, and how to continue."""
    again = "the same command" if workers.count > 1 else f"`{shlex.join(['nait', *arguments])}`"
    logging.getLogger("nait").warning(
        "%s. Kept in the store: finished stages; of scoring, every row that was measured; of training, its last "
        "checkpoint (one each train.save_seconds). An evaluation starts anew. To continue, run %s.",
        how, again,
    )  # fmt: skip


def _print_help() -> None:
    from nait.cli.help import help_text

    try:
        print(help_text(), flush=True)
    except BrokenPipeError:  # `nait -h | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: Sequence[str]) -> None:
    """Runs the job or the sweep. Raises: NaitError for all that Hydra refuses, in our words."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from nait.cli.app import run
    from nait.cli.command.command_line import fitted, split
    from nait.cli.command.config_errors import explain, unreadable
    from nait.cli.command.config_groups import loader_of

    line = split(named_none(arguments))
    loader = loader_of(line.flags.config_dir)
    try:
        line = fitted(line, loader)
        with overrides(workers_of(os.environ)) as added:
            sys.argv[1:] = [*line.arguments(), *added]
            run()
    except YAMLError as error:  # of an option in the user's --config-dir
        raise unreadable(error) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_own_words(error) or explain(error, line.words, loader)) from error


def _own_words(error: BaseException | None) -> str | None:
    """What a resolver of ours said, if it is behind this error; OmegaConf keeps it as the context alone."""
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
