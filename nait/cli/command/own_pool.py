"""Asked for: an own pool is never paired with the embedded world's model or references unless the user says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nait.core.errors import ConfigError

EMBEDDED = "nait.nano."
"""What builds the embedded world's parts."""
MENDS = {
    "target": "Add target=file target.path=REFERENCE_FILE; target=none for a selector that needs none (random, "
    "length, perplexity); target=nano for the embedded world's references.",
    "model": "Add model=local model.path=MODEL_FOLDER or model=hf model.path=OWNER/NAME; model=nano for the "
    "embedded world's model.",
}


def check_asked(builds: Mapping[str, str], chosen: Callable[[], set[str]]) -> None:
    """Raises: ConfigError for a pool of the user's own beside a model or target of the embedded world by default.

    `builds` is what the groups `data`, `model` and `target` build, by its dotted path; `chosen` gives the groups
    whose option the command line or a config file names.
    """
    if builds["data"].startswith(EMBEDDED):
        return
    default = [group for group in MENDS if builds[group].startswith(EMBEDDED)]
    named = chosen() if default else set()
    missing = [group for group in default if group not in named]
    if missing:
        raise ConfigError(
            f"the pool is your own and no {' and no '.join(missing)} is named",
            where=" and ".join(f"{group}=..." for group in missing),
            mend=" ".join(MENDS[group] for group in missing),
        )
