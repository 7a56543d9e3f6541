"""A tiny model, and extractors that read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nait.models.loading import LocalModel
from nait.models.prompts.templates import TextTemplate
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.store import Store
from tests.families import save

TEMPLATE = TextTemplate(prompt="Q: {user}\nA: ")
Open = Callable[..., StoredExtractor]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"))


@pytest.fixture
def opened(folder: Path, tmp_path: Path) -> Open:
    """Opens an extractor on the test's own store."""

    def extractor(*, max_length: int = 200, tune: Any = None, **engine: Any) -> StoredExtractor:
        model = LocalModel(str(folder), device="cpu", max_length=max_length)
        return StoredExtractor(
            model, Store(tmp_path), TEMPLATE, engine=Engine(**{"progress": False, **engine}), tune=tune
        )

    return extractor
