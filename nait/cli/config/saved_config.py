"""The config files that Hydra saves beside a run, without secrets."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from nait.core.inputs.secrets import HIDDEN, SHORTEST, masked


def mask_saved(config: DictConfig) -> None:
    """Mask the secrets in the files that Hydra has saved for a job or a sweep: `.hydra/*.yaml`, `multirun.yaml`.

    The values of `hydra.job.env_set` are secret whatever their names.
    """
    folders = {_at(config, "hydra.runtime.output_dir"), _at(config, "hydra.sweep.dir")} - {None}
    given = [str(value) for value in (config.hydra.job.env_set or {}).values()]
    for folder in folders:
        for path in (Path(str(folder), "multirun.yaml"), *Path(str(folder), ".hydra").glob("*.yaml")):
            if path.is_file():
                _mask(path, given)


def _mask(path: Path, given: list[str]) -> None:
    if given:
        _hide_given(path)
    before = path.read_text(encoding="utf-8")
    after = masked(before, [value for value in given if len(value) >= SHORTEST])
    if after != before:
        path.write_text(after, encoding="utf-8", newline="\n")


def _hide_given(path: Path) -> None:
    """Replace each value of `hydra.job.env_set` in a saved config."""
    saved = OmegaConf.load(path)
    found = OmegaConf.select(saved, "hydra.job.env_set") if isinstance(saved, DictConfig) else None
    if isinstance(found, DictConfig):
        for name in list(found):
            found[name] = HIDDEN
        OmegaConf.save(saved, path)


def _at(config: DictConfig, key: str) -> str | None:
    with suppress(Exception):
        found = OmegaConf.select(config, key)
        return None if found is None else str(found)
    return None
