"""Seed the RNGs and silence lm-eval during an evaluation; restore everything afterwards."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

PYTHON_SEED = 0
"""The seed of Python's `random` on lm-evaluation-harness's command line. For numpy, torch and few-shot it is 1234."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Context with numpy and torch seeded with `seed` and Python with `PYTHON_SEED`; their states are restored."""
    import numpy as np
    import torch

    kept, kept_numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            random.seed(PYTHON_SEED)
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(kept)
        np.random.set_state(kept_numpy)


NO_FORKS = "DISABLE_MULTIPROC"
"""The harness's variable for bootstrapping without forked processes. A fork of a process with threads, such as W&B's,
can deadlock. The draws are the same."""


def _sandboxed(templates: Any) -> Any:
    """A sandbox with the settings and filters of a Jinja environment."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    sandbox = ImmutableSandboxedEnvironment(
        loader=templates.loader, undefined=templates.undefined,
        keep_trailing_newline=templates.keep_trailing_newline,
    )  # fmt: skip
    sandbox.filters.update(templates.filters)
    return sandbox


@contextmanager
def quiet_lm_eval(tasks: Any, templates: Any) -> Iterator[None]:
    """Context in which the harness logs errors only, shows its two long bars and never forks.

    Templates of tasks are compiled once, and run in Jinja's sandbox: they reach no attribute that leads to code.

    `tasks` is the harness's module of tasks, `templates` its Jinja environment.
    """
    from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    loggers = [logging.getLogger(name) for name in ("lm_eval", "transformers")]
    levels = [logger.level for logger in loggers]
    no_forks = os.environ.get(NO_FORKS)
    bar, bars_off, compiled = tasks.tqdm, are_progress_bars_disabled(), templates.from_string
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        # 80 subtasks would show 80 short bars, which hide the two long ones.
        tasks.tqdm = lambda rows, **_: rows
        # The harness compiles the template for every text: 1.7 ms each, minutes for MMLU.
        templates.from_string = lru_cache(maxsize=1024)(_sandboxed(templates).from_string)
        disable_progress_bars()
        os.environ[NO_FORKS] = "1"
        yield
    finally:
        os.environ.pop(NO_FORKS) if no_forks is None else os.environ.update({NO_FORKS: no_forks})
        tasks.tqdm, templates.from_string = bar, compiled
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if not bars_off:
            enable_progress_bars()
