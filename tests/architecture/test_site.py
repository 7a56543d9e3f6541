"""The documentation site builds without a warning and without network, and its reference has every key."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("sphinx") is None or importlib.util.find_spec("myst_parser") is None:
        pytest.skip("sphinx and myst-parser are not installed")
    out = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs/site/build.py"), str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr.strip(), done.stderr
    return out


def test_every_link_between_pages_leads_to_a_page(site: Path) -> None:
    lost = []
    for page in site.rglob("*.html"):
        for link in re.findall(r'href="([^"#:?]+\.html)', page.read_text(encoding="utf-8")):
            if not (page.parent / link).is_file():
                lost.append(f"{page.name}: {link}")
    assert not lost


def test_the_configuration_reference_has_every_key_of_a_job(site: Path) -> None:
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import DictConfig, OmegaConf

    GlobalHydra.instance().clear()
    with initialize_config_module("nait.conf", version_base="1.3"):
        config = compose("run")
    GlobalHydra.instance().clear()
    text = unescape(re.sub(r"<[^>]+>", "", (site / "configuration.html").read_text(encoding="utf-8")))

    def leaves(node: DictConfig, path: str = "") -> list[str]:
        found = []
        for key in node:
            value = OmegaConf.to_container(node, resolve=False)[key]  # type: ignore[call-overload,index]
            if isinstance(value, dict) and value:
                found += leaves(node[key], f"{path}{key}.")
            elif not str(key).startswith("_"):
                found.append(f"{path}{key}")
        return found

    absent = [key for key in leaves(config) if key not in text and not key.startswith("truth.")]
    assert absent == []
