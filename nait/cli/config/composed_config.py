"""ComposedConfig of a job's config inside a running program, without Hydra's application."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import nait.cli.config.resolvers  # noqa: F401  # registers them
from nait.cli.command.command_line import CommandLine, hydra_line, split
from nait.cli.command.config_errors import explain
from nait.cli.command.config_groups import chosen, loader_of
from nait.cli.command.own_pool import check_own_pool
from nait.cli.command.quoting import quoted
from nait.cli.config.other_selectors import other_selectors
from nait.cli.config.plain_config import resolve, seeded
from nait.cli.help import replace_null
from nait.core.errors import ConfigError, NaitError
from nait.core.inputs.paths import at_home


@dataclass(frozen=True)
class ComposedConfig:
    """A composed config: plain values, the chosen option of each group, the run's folder.

    `config` is Hydra's, for the configs of other selectors.
    """

    config: DictConfig
    plain: dict[str, Any]
    names: dict[str, str]
    folder: Path
    words: tuple[str, ...]

    def other_selector(self) -> Any:
        """A function from a selector's name to its config under this job's other settings."""
        return other_selectors(self.config, self.words)


@contextmanager
def composed(words: Sequence[str], *, command: str) -> Iterator[ComposedConfig]:
    """The config of these words, as `nait run` composes it, for the duration of the context.

    Another Hydra application in the same process finds its state unchanged afterwards.

    Raises: NaitError for words or values that cannot be used.
    """
    loader, before = loader_of(), (GlobalHydra.instance().hydra, HydraConfig.instance().cfg)
    GlobalHydra.instance().hydra = None
    try:
        with initialize_config_module("nait.conf", version_base="1.3"):
            line = hydra_line(split(replace_null(words)), loader)
            config = _config(line)
            HydraConfig.instance().set_config(config)
            folder = Path(str(config.hydra.runtime.output_dir))
            task = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
            _check(config, line.words)
            names = {str(group): str(option) for group, option in config.hydra.runtime.choices.items()}
            plain = {**resolve(task), "command": command, "options": names, "seeded": seeded(task)}
            yield ComposedConfig(task, plain, names, folder, tuple(line.words))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(nait_message(error) or explain(error, list(words), loader)) from error
    finally:
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg = before


def _config(line: CommandLine) -> DictConfig:
    """The config, with the run's folder below `paths.runs`, as Hydra's application names it."""
    now = datetime.now().astimezone()
    runs = compose(
        "run", overrides=[word for word in line.words if word.startswith("paths.runs=")]
    ).paths.runs
    folder = Path(os.path.abspath(at_home(str(runs)))) / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S-%f}"  # noqa: PTH100
    added = [f"hydra.runtime.output_dir={quoted(str(folder))}", "hydra.job.name=nait"]
    config: DictConfig = compose("run", overrides=[*line.words, *added], return_hydra_config=True)
    return config


def _check(config: DictConfig, words: Sequence[str]) -> None:
    """Raises: ConfigError for a user's pool with the embedded world's model or target by default."""
    builds = {
        group: str(OmegaConf.select(config, f"{group}._target_")) for group in ("data", "model", "target")
    }
    check_own_pool(builds, lambda: chosen(GlobalHydra.instance().config_loader(), words))


def nait_message(error: BaseException | None) -> str | None:
    """The message of the NaitError behind `error`, or None. OmegaConf keeps a resolver's error as the context."""
    while error is not None:
        if isinstance(error, NaitError):
            return str(error)
        error = error.__cause__ or error.__context__
    return None
