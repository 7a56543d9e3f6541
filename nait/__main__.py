"""The command line: `nait key=value ...`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from nait.core.errors import NaitError
from nait.core.workers import workers_of
from nait.help import explain, help_text, named_none
from nait.processes import overrides, settle


def main() -> None:
    """Runs the jobs that the command line describes. Exit code 2: something the user can mend."""
    arguments = sys.argv[1:]
    if not set(arguments).isdisjoint({"--help", "-h", "help"}):
        print(help_text())
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
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from nait.app import run

    try:
        with overrides(workers) as added:
            sys.argv[1:] = [*_read(arguments), *added]
            run()
    except NaitError as error:
        _fail(str(error))
    except (HydraException, OmegaConfBaseException) as error:
        message = _own_words(error) or explain(error, arguments)
        if message is None:
            raise
        _fail(message)
    except KeyboardInterrupt:
        logging.getLogger("nait").warning("Interrupted. The same command goes on from here.")
        sys.exit(130)


def _read(arguments: Sequence[str]) -> list[str]:
    """The arguments as Hydra is to read them."""
    from nait.command.line import fitted, split
    from nait.command.options import loader_of

    line = split(named_none(arguments))
    return fitted(line, loader_of(line.flags.config_dir)).arguments()


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
