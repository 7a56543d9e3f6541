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


@pytest.fixture(scope="session")
def opened(folder: Path) -> Open:
    """Opens an extractor on a store's folder."""

    def extractor(store: Path, model: Path = folder, **engine: Any) -> StoredExtractor:
        return StoredExtractor(
            LocalModel(str(model), device="cpu", max_length=128),
            Store(store),
            TEMPLATE,
            engine=Engine(progress=False, **engine),
        )

    return extractor


@pytest.fixture(scope="module")
def x(opened: Open, tmp_path_factory: pytest.TempPathFactory) -> StoredExtractor:
    """An extractor with a store that the module's tests share."""
    return opened(tmp_path_factory.mktemp("store"))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A function after whose call the test fails if a model is loaded."""

    def forbid() -> None:
        monkeypatch.setattr(LocalModel, "load_network", lambda _: pytest.fail("the model was opened"))

    return forbid
