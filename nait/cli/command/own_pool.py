"""Check that a user's pool is not combined with the embedded world's model or target by default."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nait.core.errors import ConfigError

EMBEDDED = "nait.nano."
"""Module prefix of the embedded world's classes."""
WORLD = "nano"
"""Name of the embedded world's pool and model."""
REMEDIES = {
    "target": "Add target=file target.path=REFERENCE_FILE; target=none for a selector that needs none (random, "
    "length, perplexity); target=nano for the embedded world's references.",
    "model": "Add model=local model.path=MODEL_FOLDER or model=hf model.path=OWNER/NAME; model=nano for the "
    "embedded world's model.",
}


def renamed(builds: Mapping[str, str], names: Mapping[str, str]) -> list[str]:
    """Warnings for parts of the embedded world that have another name, which changes the label only.

    `names`: group (`data`, `model`) -> value of its key `name`.
    """
    return [
        f"{group}.name={name} only names the embedded world's {group}. For another: "
        f"{group}={'file' if group == 'data' else 'hf'} {group}.path={name}."
        for group, name in names.items()
        if builds[group].startswith(EMBEDDED) and name != WORLD
    ]


def check_own_pool(builds: Mapping[str, str], chosen: Callable[[], set[str]]) -> None:
    """Raises: ConfigError for a user's pool with the embedded world's model or target, unless chosen explicitly.

    `builds`: group (`data`, `model`, `target`) -> dotted path of its class. `chosen` returns the groups whose option
    the command line or a config file names.
    """
    if builds["data"].startswith(EMBEDDED):
        return
    default = [group for group in REMEDIES if builds[group].startswith(EMBEDDED)]
    named = chosen() if default else set()
    missing = [group for group in default if group not in named]
    if missing:
        raise ConfigError(
            f"the pool is your own and no {' and no '.join(missing)} is named",
            where=" and ".join(f"{group}=..." for group in missing),
            fix=" ".join(REMEDIES[group] for group in missing),
        )
