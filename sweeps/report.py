"""The report: everything a sweep says, as one page, as Markdown, as LaTeX tables and as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nait.core.results import Row
from nait.store import write_text

from .composition import pool_traits
from .contrasts import CONTROL, Items
from .costs import amortised
from .documents import Document, Section, as_html, as_latex, as_markdown
from .leaderboard import Leaderboard, measured
from .lines import Line, summarise
from .provenance import contamination, provenance, warnings
from .sections import compared, costs, leaderboard, pairwise, selected, transferred, varied
from .selections import read_picks
from .stores import Shelf
from .transfer import Benchmarks, matrices
from .transfer import as_csv as transfer_csv

REASONING = ("logic", "math", "code")


@dataclass(frozen=True)
class Report:
    """Writes the leaderboard and, beside it, `report.{html,md}`, `tables.tex`, the pictures and the matrix.

    `headlines_only` and `control`: as the leaderboard's. `benchmarks` gives a target's own benchmarks where their
    names do not end in the target's. `reasoning`: the targets that the paper says transfer best.
    """

    headlines_only: bool = True
    control: str = CONTROL
    benchmarks: Benchmarks = field(default_factory=dict)
    reasoning: Sequence[str] = REASONING

    def report(self, store: Shelf, runs: Sequence[str] | None, folder: Path) -> str:
        """The tables to print, after all files were written into `folder`."""
        rows, items = measured(store, runs)
        lines = summarise(rows, items, control=self.control)
        printed = Leaderboard(self.headlines_only, self.control).write(rows, lines, folder)
        document = self.document(store, rows, lines, items)
        for picture in document.pictures:
            write_text(folder / f"{picture.name}.svg", picture.file + "\n")
        found = matrices(lines, self.benchmarks)
        if found:
            write_text(folder / "transfer.csv", transfer_csv(found))
        write_text(folder / "report.md", as_markdown(document))
        write_text(folder / "tables.tex", as_latex(document))
        write_text(folder / "report.html", as_html(document))
        return f"{printed}\nReport: {folder / 'report.html'}"

    def document(self, store: Shelf, rows: Sequence[Row], lines: Sequence[Line], items: Items) -> Document:
        """The report's content; sections without data are left out."""
        shown = Leaderboard(self.headlines_only, self.control).shown(lines)
        picks = read_picks(store, rows)
        return Document.of(
            "Which data to tune on: " + ", ".join(sorted({row.model for row in rows})),
            [
                Section("Leaderboard", leaderboard(shown, self.control)),
                Section(f"Against {self.control}", compared(shown, self.control, self.benchmarks)),
                Section("Any two methods", pairwise(rows, shown, items)),
                Section("Quality and cost", costs(shown, amortised(store, rows))),
                Section("Curves", varied(shown)),
                Section(
                    "Transfer",
                    transferred(
                        matrices(lines, self.benchmarks),
                        rows,
                        items,
                        reasoning=self.reasoning,
                        control=self.control,
                    ),
                ),
                Section("What was selected", selected(picks, pool_traits(store, rows, picks))),
                Section("Contamination", contamination(store, rows)),
                Section("Warnings", warnings(store, rows, lines)),
                Section("Provenance", provenance(store, rows)),
            ],
        )
