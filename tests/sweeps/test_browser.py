"""Laws of the page in a real browser: it fits a phone, follows light and dark, and asks nobody for anything."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from nait.store import Store
from nait.sweeps.reports.full_report import Report

from .fixtures import put

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PROBE = """<script>
const page = document.documentElement, seen = getComputedStyle(document.body);
document.title = [page.scrollWidth, innerWidth, seen.backgroundColor, document.querySelectorAll('svg').length,
  performance.getEntriesByType('resource').length].join(' | ');
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    store = Store(folder / "store")
    for seed in range(3):
        for target in ("math", "code", "facts"):
            put(store, "random", target=target, seed=seed, share=0.3)
            put(store, "nait", target=target, seed=seed, share={f"nano_{target}": 0.6})
    Report().report(store, None, folder)
    probed = folder / "probed.html"
    probed.write_text((folder / "report.html").read_text(encoding="utf-8") + PROBE, encoding="utf-8")
    return probed


def rendered(browser: str, page: Path, *, dark: bool) -> list[str]:
    """What the page says of itself once a browser has laid it out at a phone's width."""
    command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=500,900",
               f"--user-data-dir={page.parent / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND",
               f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--dump-dom", page.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    (title,) = re.findall(r"<title>(\d+ \| .*?)</title>", done.stdout)
    return title.split(" | ")


def test_a_phone_shows_the_page_without_scrolling_sideways(browser: str, page: Path) -> None:
    scroll, width, _, figures, fetched = rendered(browser, page, dark=False)
    assert int(scroll) <= int(width)
    assert int(figures) >= 2
    assert fetched == "0"


def test_the_page_follows_light_and_dark(browser: str, page: Path) -> None:
    def brightness(dark: bool) -> int:
        return sum(map(int, re.findall(r"\d+", rendered(browser, page, dark=dark)[2])[:3]))

    assert brightness(dark=True) < 200
    assert brightness(dark=False) > 600
