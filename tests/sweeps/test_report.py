"""Laws of the report: one page that needs nothing else, says the same in each format, and trusts no text."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from nait.core.dataset.examples import Example, Turn, gather
from nait.stages.checks.detect_contamination import HITS
from nait.stages.describe_pool import characterise
from nait.store import Artifact, Store
from nait.sweeps.render.report_document import Document, Notes, Section, Table, as_html, as_latex, as_markdown
from nait.sweeps.reports.full_report import Report

from .fixtures import POOL, put, select
from .test_composition import Planted

VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = "<script>alert(1)</script> & [a](b) `c` | d_e % \\ $"


class Page(HTMLParser):
    """The tags of a page, each closed by its own end; its ids and what it points to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.points: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.points += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"closed without being open: {tag}"
        assert self.open.pop() == tag


def check(store: Store) -> Artifact:
    """A contamination check that found one shared text."""
    hit = {"rows": "p", "id": "row7", "other": "nano_math", "other_id": "17", "kind": "exact"}

    def write(part: Path) -> dict[str, int]:
        (part / HITS).write_text(json.dumps([hit]))
        return {"hits": 1}

    return store.produce("contamination", {"pool": "p"}, write)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on a sweep that has everything."""
    root = tmp_path_factory.mktemp("report")
    store, out = Store(root / "store"), root / "out"
    out.mkdir()
    facts = {"command": "nait seed=0", "versions": {"torch": "2"}, "fingerprints": {"pool": "f00"}}  # fmt: skip
    for seed in range(2):
        for target in ("math", "code", "facts"):
            put(store, "random", target=target, seed=seed, share=0.3)
            put(store, "length", target=target, seed=seed, share=0.3)
            put(store, "nait", target=target, seed=seed, share=0.6, texts=True, facts=facts)
            for percent in (1, 20):
                put(store, "nait", target=target, seed=seed, budget=f"{percent}%", rows=percent)
    Report().report(store, None, out)
    return out


def test_the_page_is_whole_and_needs_no_network(written: Path) -> None:
    text = (written / "report.html").read_text()
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert {point.removeprefix("#") for point in page.points} <= set(page.ids)
    assert not re.search(r"https?:|//cdn|@import|url\((?!#)", text)
    assert not {"script", "iframe", "link", "object"} & set(page.tags)
    assert page.tags.count("svg") == 5
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_every_part_is_there_in_every_format(written: Path) -> None:
    names = {path.name for path in written.iterdir()}
    assert names == {
        "leaderboard.md", "leaderboard.csv", "leaderboard.json", "report.html", "report.md", "tables.tex",
        "means.csv", "transfer.csv", "transfer.svg", "curves.svg", "overlap.svg", "cost.svg", "forest.svg",
    }  # fmt: skip
    page, markdown = (written / "report.html").read_text(), (written / "report.md").read_text()
    sections = ("Leaderboard", "Against random", "Any two methods", "Quality and cost", "Curves", "Transfer",
                "What was selected", "Warnings", "Provenance")  # fmt: skip
    for title in sections:
        assert f">{title}</h2>" in page
        assert f"## {title}\n" in markdown
    for text in (page, markdown):
        assert "nait seed=0" in text
        assert "training recipe" in text
        assert "Fewer than three seeds" in text
        assert "The diagonal wins" in text
        assert "rho +0.60" in text
        assert "<b>" not in text
    assert "&lt;b&gt;" in page


def test_figures_are_files_of_their_own(written: Path) -> None:
    for path in written.glob("*.svg"):
        root = ET.fromstring(path.read_text())
        assert root.tag.endswith("svg")
        assert "0b0c0" not in path.read_text()


def test_the_same_store_gives_the_same_bytes(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for name in ("nait", "random"):
        put(store, name)
    texts = []
    for k in range(2):
        out = tmp_path / str(k)
        out.mkdir()
        Report().report(store, None, out)
        texts.append((out / "report.html").read_text())
    assert texts[0] == texts[1]


def test_a_report_reads_each_file_of_the_store_at_most_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    rows = gather("p", [Example(f"row{k:03d}", (Turn("a", "b"),), row=k) for k in range(POOL)])
    links = {
        "contamination": check(store).address,
        "traits": characterise(rows, Planted(), store).address,
    }
    for seed in range(2):
        for target in ("math", "code"):
            put(store, "random", target=target, seed=seed, also=links)
            put(store, "nait", target=target, seed=seed, texts=True, also=links)
        put(store, "base", seed=seed, trained=False)
        put(store, "nait", seed=seed, also=links, **{"train.epochs": "1"})
        put(store, "random", seed=seed, also=links, **{"train.epochs": "1"})
    read = record_reads(monkeypatch, store.root)
    Report().report(store, None, tmp_path)
    names = {f"{path.parent.parent.name}/{path.name}" for path in read}
    assert {
        "runs/manifest.json", "scores/manifest.json", "selections/scores.parquet", "selections/selected.jsonl",
        "evaluations/results.json", "evaluations/items.parquet", f"contamination/{HITS}", "traits/traits.parquet",
    } <= names  # fmt: skip
    assert {str(path): count for path, count in Counter(read).items() if count > 1} == {}


def record_reads(monkeypatch: pytest.MonkeyPatch, root: Path) -> list[Path]:
    """A list that grows by each file below `root` that is opened."""
    read: list[Path] = []

    def recorded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *rest: Any, **options: Any) -> Any:
            if isinstance(path, Path) and path.is_relative_to(root):
                read.append(path)
            return function(path, *rest, **options)

        return call

    monkeypatch.setattr("io.open", recorded(io.open))
    monkeypatch.setattr("pyarrow.parquet.read_table", recorded(parquet.read_table))
    monkeypatch.setattr("pyarrow.parquet.ParquetFile", recorded(parquet.ParquetFile))
    return read


def test_sections_without_data_are_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    put(store, "nait")
    Report().report(store, None, tmp_path)
    text = (tmp_path / "report.html").read_text()
    Page(text)
    for title in ("Against", "Any two methods", "Curves", "Transfer"):
        assert f">{title}" not in text
    assert not (tmp_path / "transfer.svg").exists()


def test_runs_that_only_selected_have_a_report_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for layers in ("[1]", "[2]", "[3]"):
        put(store, "nait", layers=layers, evaluated=False)
    text = Report().report(store, None, tmp_path)
    assert "nothing was trained or evaluated" in text
    assert "precision" in (tmp_path / "report.html").read_text()


def test_a_report_of_one_selection_shows_rows_and_explains_its_columns(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    _, address = select(store, "nait", ("math",), 20, texts=True)
    made = store.find("selections", address)
    assert made is not None
    rows = [{"place": place, "rank": rank, "id": f"row{rank:03d}", "row": {"q": f"\u2028 {HOSTILE} {rank}"}}
            for place, rank in (("top", 1), ("middle", 100), ("bottom", 199))]  # fmt: skip
    (made.path / "examples.jsonl").write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    )
    put(store, "nait", texts=True, evaluated=False)
    Report().report(store, None, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "Rows at the top, the middle and the bottom of the ranking." in text
    assert re.search(r"\| bottom +\| 199 +\| [\d.]+ +\| row199", text)
    assert "Columns. target: the capability" in text
    assert "<script>" not in (tmp_path / "report.html").read_text()


def test_texts_that_the_evaluation_shares_are_listed_with_both_ids(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    found = check(store).address
    put(store, "nait", also={"contamination": found})
    put(store, "random", also={"contamination": found})
    Report().report(store, None, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "1 row(s) of p share text with nano_math" in text
    assert re.search(r"\| p +\| row7 +\| nano_math +\| 17 ", text)


def test_hostile_text_stays_text_in_every_format() -> None:
    table = Table.of("t", ["a", HOSTILE], [[HOSTILE, "x"]], caption=HOSTILE)
    document = Document.of(HOSTILE, [Section("S", (table, Notes((HOSTILE,))))])
    page = as_html(document)
    assert "script" not in Page(page).tags
    markdown = as_markdown(document)
    assert "<script" not in markdown
    assert "](b)" not in markdown
    row = next(line for line in markdown.splitlines() if line.startswith("| &lt;script"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 3
    latex = as_latex(document)
    assert r"\& [a](b)" in latex
    assert r"d\_e \% \textbackslash{} \$" in latex


def test_a_latex_table_has_as_many_cells_as_columns() -> None:
    text = as_latex(Document.of("T", [Section("S", (Table.of("t", ["a", "b"], [["1 ± 2", "x & y"]]),))]))
    row = next(line for line in text.splitlines() if "pm" in line)
    assert len(re.findall(r"(?<!\\)&", row)) == 1
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1


def test_a_report_of_one_seed_calls_nothing_significant_in_any_format(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for target in ("math", "code"):
        put(store, "random", target=target, share=0.1)
        for name in ("nait", "length", "rds"):
            put(store, name, target=target, share=0.9)
    printed = Report().report(store, None, tmp_path)
    texts = [printed, *((tmp_path / name).read_text() for name in ("report.html", "report.md", "tables.tex",
                                                                     "leaderboard.md"))]  # fmt: skip
    for text in texts:
        assert "items only" in text
        assert "n.s." not in text
        assert "power 0.8" not in text
        assert not re.search(r"\b(yes|no)\b \|", text)
    lines = (tmp_path / "transfer.csv").read_text().splitlines()
    assert all(",False," in line for line in lines[1:])


def test_captions_are_outside_the_boxes_that_scroll_and_wide_tables_have_a_hint(written: Path) -> None:
    page = (written / "report.html").read_text()
    assert "<caption" not in page
    wide = Table.of("t", map(str, range(9)), [["x" * 30] * 9], caption="c")
    shown = as_html(Document.of("d", [Section("s", (wide,))]))
    assert (
        '<p class="caption">c</p>\n<p class="hint wide">Scroll the table sideways: it has 9 columns.' in shown
    )
    assert re.search(r'<p class="hint narrow">Scroll the figure sideways[^<]*</p>\n<div class="scroll"', page)


def test_a_table_that_fits_a_page_has_no_hint_on_it() -> None:
    table = Table.of("t", ["a", "b"], [["x" * 20, "y" * 200]])
    assert table.pixels == 2 * 15 + round(7.6 * (20 + 60))


def test_a_report_replaces_an_earlier_one_in_its_folder_and_leaves_other_files(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for seed in range(2):
        for selector in ("nait", "random"):
            put(store, selector, seed=seed)
    out = tmp_path / "out"
    out.mkdir()
    left = [out / name for name in ("transfer.csv", "forest-2.svg", "validity-1.svg")]
    own = [out / name for name in ("mine.svg", "transfer-2024.csv")]
    for path in (*left, *own):
        path.write_text("earlier")
    Report().report(store, None, out)
    assert not [path for path in left if path.exists()]
    assert [path.read_text() for path in own] == ["earlier", "earlier"]
