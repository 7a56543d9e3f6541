"""Fixtures of the parity tests: the published numbers, and the model and rows that they were computed with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nait.core.dataset.examples import Pool
from nait.models.loading import LocalModel
from nait.models.prompts.templates import TextTemplate
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.store import Store
from tests.conftest import read_pool


@pytest.fixture(scope="session")
def parity(shared: Callable[[str], Path]) -> Path:
    return shared("parity")


@pytest.fixture(scope="session")
def methods(parity: Path) -> dict[str, Any]:
    return json.loads((parity / "expected.json").read_text())["methods"]


@pytest.fixture(scope="session")
def rows(parity: Path) -> Pool:
    return read_pool(parity / "pool.jsonl", "pool")


@pytest.fixture(scope="session")
def open_at(parity: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], StoredExtractor]:
    """Length limit -> an extractor of the reference model. Tests set their own templates."""
    store = Store(tmp_path_factory.mktemp("store"))

    def extractor(max_length: int) -> StoredExtractor:
        model = LocalModel(str(parity / "model"), dtype="float32", device="cpu", max_length=max_length)
        return StoredExtractor(model, store, TextTemplate(prompt="{user}"), engine=Engine(progress=False))

    return extractor


@pytest.fixture(scope="session")
def preset() -> Callable[..., Any]:
    """The scorer that a shipped selector config builds."""

    def built(*overrides: str) -> Any:
        from hydra import compose, initialize_config_module
        from hydra.core.global_hydra import GlobalHydra
        from omegaconf import OmegaConf

        from nait.cli.config.plain_config import build

        GlobalHydra.instance().clear()
        with initialize_config_module("nait.conf", version_base="1.3"):
            node = OmegaConf.to_container(compose("run", overrides=list(overrides)).selector, resolve=True)
        GlobalHydra.instance().clear()
        node.pop("name")
        return build(node)

    return built
