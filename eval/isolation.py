"""Surroundings of an evaluation: seeds that leave no trace, and a harness that keeps its voice down."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

PYTHON_SEED = 0
"""What lm-evaluation-harness's command line seeds Python's `random` with; numpy, torch and few-shot draws: 1234."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed numpy's and torch's generators with `seed`, Python's with `PYTHON_SEED`; restore all at the end."""
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


ALONE = "DISABLE_MULTIPROC"
"""The harness's own word for resampling in this process. Its processes are forked, and one forked beside threads, as
W&B has them, can wait for ever; its draws are the same either way."""


@contextmanager
def manners(tasks: Any, templates: Any) -> Iterator[None]:
    """Within it the harness logs errors only, shows the bars that tell the time left, keeps templates, forks nothing.

    `tasks` is its module of tasks, `templates` its Jinja environment.
    """
    from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    loggers = [logging.getLogger(name) for name in ("lm_eval", "transformers")]
    levels = [logger.level for logger in loggers]
    alone = os.environ.get(ALONE)
    bar, bars_off, compiled = tasks.tqdm, are_progress_bars_disabled(), templates.from_string
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        # One bar for each of 80 subtasks, gone in a blink, hides the two that matter.
        tasks.tqdm = lambda rows, **_: rows
        # The harness compiles a template anew for every text: 1.7 ms each, minutes over all of MMLU.
        templates.from_string = lru_cache(maxsize=1024)(compiled)
        disable_progress_bars()
        os.environ[ALONE] = "1"
        yield
    finally:
        os.environ.pop(ALONE) if alone is None else os.environ.update({ALONE: alone})
        tasks.tqdm, templates.from_string = bar, compiled
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if not bars_off:
            enable_progress_bars()
