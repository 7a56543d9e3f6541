"""Targets from the few-shot exemplars in task files of lm-evaluation-harness. The files are read, never imported."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from nait.core.dataset.examples import Example, Target, Turn, as_target, gather
from nait.core.errors import ConfigError, DataError
from nait.data.references.reference_sets import drawn


class _TaskLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML; the harness's tag for a Python function reads as text."""


_TaskLoader.add_constructor("!function", lambda _, node: str(node.value))


def read_exemplars(
    folder: str,
    *,
    name: str,
    question: str = "input",
    answer: str = "target",
    rows: int | None = None,
    seed: int = 0,
) -> list[Target]:
    """One target: the exemplars of the tasks in a folder of the installed harness, each task a subtask.

    `folder`: below `lm_eval/tasks`, such as "bbh/cot_fewshot". `question`, `answer`: keys of an exemplar.
    `rows`: number of exemplars to sample with `seed`; None uses all. Raises: DataError, ConfigError.
    """
    place = _tasks() / folder
    if not place.is_dir():
        fix = "Give a folder below lm_eval/tasks: bbh/cot_fewshot."
        raise ConfigError(f"the harness has no task folder '{folder}'", where="target.folder", fix=fix)
    examples: list[Example] = []
    for task, sample in _samples(place):
        if not all(isinstance(sample.get(key), str) for key in (question, answer)):
            fix = f"Name its keys: {', '.join(sample)}."
            raise DataError(
                f"an exemplar of {task} has no text '{question}' and '{answer}'", where=str(place), fix=fix
            )
        turn = Turn(sample[question], sample[answer])
        examples.append(Example("", (turn,), subtask=task, row=len(examples)))
    if not examples:
        fix = "Choose a folder whose task files have a fewshot_config with samples."
        raise DataError("its task files have no exemplars", where=str(place), fix=fix)
    return [drawn(as_target(gather(name, examples, where=str(place))), rows, seed)]


def _tasks() -> Path:
    """The task folder of the installed harness."""
    found = importlib.util.find_spec("lm_eval")
    if found is None or not found.submodule_search_locations:
        raise ConfigError("lm-evaluation-harness is not installed", where="target", fix="pip install lm_eval")
    return Path(next(iter(found.submodule_search_locations))) / "tasks"


def _samples(place: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Data subset and exemplar, in the order of the files' names."""
    for path in sorted(place.glob("*.yaml")):
        task = _TaskLoader(path.read_bytes()).get_single_data()
        config = task.get("fewshot_config") if isinstance(task, Mapping) else None
        samples = config.get("samples") if isinstance(config, Mapping) else None
        for sample in samples if isinstance(samples, list) else ():
            yield str(task.get("dataset_name") or path.stem), sample
