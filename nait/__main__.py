"""The command line: `nait COMMAND ...`, and `nait key=value ...` for `nait run key=value ...`."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from nait.cli.config.log_lines import LogLines
from nait.cli.subcommands.main_app import work_of
from nait.core.errors import NaitError, show_bug
from nait.core.inputs.paths import write_error
from nait.core.inputs.secrets import masked, masked_words
from nait.core.inputs.visible_text import visible_record
from nait.core.ranks import Workers, workers_from

TERMINATED = 128 + signal.SIGTERM
"""Exit code of a job that SIGTERM ended."""


def main() -> None:
    """Run one command. Exit code 2 means an error that the user can fix."""
    arguments = sys.argv[1:]
    workers = workers_from(os.environ)
    # Makes Hydra raise its errors instead of printing them, so that they can be translated.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # The Hub is contacted only on request: model=hf, data=hub, eval.online=true.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    sys.excepthook = show_bug
    if logging.lastResort:  # it shows what is logged before Hydra sets the log up
        logging.lastResort.setFormatter(LogLines("%(message)s", ""))
    logging.raiseExceptions = False  # no traceback for each line that cannot be written to the log file
    try:
        work_of(arguments)()
        sys.stdout.flush()
    except BrokenPipeError:  # `nait -h | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
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
    command = (
        "the same command" if workers.count > 1 else f"`{shlex.join(['nait', *masked_words(arguments)])}`"
    )
    logging.getLogger("nait").warning(
        "%s. The store keeps finished stages, all rows measured for scoring, the last checkpoint of training (one "
        "every train.save_seconds), and the answers of the finished tasks of an evaluation. To continue, run %s.",
        how, command,
    )  # fmt: skip


def _fail(message: str) -> None:
    print(visible_record(masked(f"nait: {message}")), file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
