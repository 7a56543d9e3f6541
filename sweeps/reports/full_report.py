"""The report: all analyses of a sweep as one HTML page, Markdown, LaTeX tables and SVG figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nait.store import write_text
from nait.sweeps.analyses.caveats import provenance, warnings
from nait.sweeps.analyses.composition import pool_traits
from nait.sweeps.analyses.contamination_summary import contamination
from nait.sweeps.analyses.cost_table import amortised
from nait.sweeps.analyses.pairs import pairwise
from nait.sweeps.analyses.transfer import as_csv as transfer_csv
from nait.sweeps.analyses.transfer import matrices
from nait.sweeps.render.leaderboard_tables import tabulated
from nait.sweeps.render.markdown import FAILED
from nait.sweeps.render.report_document import Block, Document, Notes, Section, as_html, as_latex, as_markdown
from nait.sweeps.reports.answer import answered
from nait.sweeps.reports.leaderboard import Leaderboard, Measured, measured
from nait.sweeps.reports.sections import compared, costs, leaderboard, overview, selected, transferred, varied
from nait.sweeps.reproduction.comparison_table import beside_published
from nait.sweeps.stats.target_benchmarks import Benchmarks
from nait.sweeps.stored_runs.method_names import CONTROL
from nait.sweeps.stored_runs.picks import read_picks
from nait.sweeps.stored_runs.run_set import RunSet
from nait.sweeps.stored_runs.stores import ReadableStore
from nait.sweeps.validity.lds_report import lds_table, unmeasured, validities, validity_blocks, validity_csv
from nait.sweeps.validity.method_scores import Validity

REASONING = ("logic", "math", "code")
OPTIONAL = re.compile(
    r"(forest|cost|curves|transfer|overlap|composition|layers|validity)(-\d+)?\.svg|(transfer|validity)\.csv"
)
"""The files that only some reports have."""


@dataclass(frozen=True)
class Report:
    """Writes the leaderboard, `report.{html,md}`, `tables.tex`, the figures and `transfer.csv`.

    With several tables, each has its own sections and figures (`forest-2.svg` belongs to table 2).

    `headlines_only`, `control`, `benchmarks`: as in `Leaderboard`. `reasoning`: the targets that transfer best
    according to the paper.
    """

    headlines_only: bool = True
    control: str = CONTROL
    benchmarks: Benchmarks = field(default_factory=dict)
    reasoning: Sequence[str] = REASONING

    def report(
        self, store: ReadableStore, runs: Sequence[str] | None, folder: Path, *, failed: Sequence[str] = ()
    ) -> str:
        """Write all files into `folder`, in place of an earlier report's, and return the tables to print."""
        loaded = RunSet.load(store, runs)
        found = measured(loaded, self.control)
        printed = self._board.write(found, folder, failed=failed)
        predicted = validities(loaded, self.benchmarks)
        document = self.document(loaded, found, predicted, failed=failed)
        for file in sorted(folder.iterdir()):
            if OPTIONAL.fullmatch(file.name):  # of an earlier report, which may have had more
                file.unlink()
        for picture in document.pictures:
            write_text(folder / f"{picture.name}.svg", picture.file + "\n")
        crossed = [
            replace(matrix, table=one.sheet.number)
            for one in found
            for matrix in matrices(one.lines, self.benchmarks)
        ]
        if crossed:
            write_text(folder / "transfer.csv", transfer_csv(crossed))
        if predicted:
            write_text(folder / "validity.csv", validity_csv(predicted))
            tables = [lds_table(one, "") for one in predicted]
            shown = [tabulated(one.header, one.body, "simple") for one in tables]
            printed = "\n\n".join([*shown, printed])
        write_text(folder / "report.md", as_markdown(document))
        write_text(folder / "tables.tex", as_latex(document))
        write_text(folder / "report.html", as_html(document))
        return f"{printed}\nReport: {folder / 'report.html'}"

    @property
    def _board(self) -> Leaderboard:
        return Leaderboard(self.headlines_only, self.control, self.benchmarks)

    def document(
        self,
        runs: RunSet,
        found: Sequence[Measured],
        predicted: Sequence[Validity] = (),
        *,
        failed: Sequence[str] = (),
    ) -> Document:
        """The content of the report, table by table, without empty sections.

        `predicted`: what scores predict. `failed`: lines on jobs without a result.
        """
        models = sorted({one.sheet.head.model for one in found})
        sections = [Section("Tables", overview(found))] if len(found) > 1 else []
        for one in found:
            several = f"Table {one.sheet.number}: " if one.of > 1 else ""
            mark = f"-{one.sheet.number}" if one.of > 1 else ""
            sections += [section.marked(several, mark) for section in self._sections(runs, one)]
        blocks = (*validity_blocks(predicted), Notes(tuple(unmeasured(runs))))
        sections[:0] = [
            Section(FAILED, (Notes(tuple(failed)),) if failed else ()),
            *self._answers(runs, found),
            Section("Does a score predict?", blocks),
        ]
        return Document.of("Which data to tune on: " + ", ".join(models), sections)

    def _answers(self, runs: RunSet, found: Sequence[Measured]) -> list[Section]:
        """The answer of each table, in one section."""
        blocks: list[Block] = []
        for one in found:
            lines, mark = self._board.shown(one.lines), f"-{one.sheet.number}" if one.of > 1 else ""
            words, following = answered(
                runs, one.rows, lines, control=self.control, benchmarks=self.benchmarks, title=one.title
            )
            blocks += [words, following.named(following.name + mark)]
        return [Section("The answer", tuple(blocks))]

    def _sections(self, runs: RunSet, one: Measured) -> list[Section]:
        """The sections of one table."""
        shown, rows, control = self._board.shown(one.lines), one.rows, self.control
        picks = read_picks(runs, rows)
        crossed = matrices(one.lines, self.benchmarks)
        return [
            Section("Leaderboard", leaderboard(shown, self._board.notes(one), self.benchmarks)),
            Section(f"Against {control}", compared(shown, control, self.benchmarks)),
            Section(
                "Any two methods",
                pairwise(rows, shown, one.items, control=control, benchmarks=self.benchmarks),
            ),
            Section("Quality and cost", costs(shown, amortised(runs, rows), self.benchmarks)),
            Section("Curves", varied(shown, self.benchmarks)),
            Section(
                "Transfer",
                transferred(crossed, rows, one.items, reasoning=self.reasoning, control=control),
            ),
            Section("What was selected", selected(picks, pool_traits(runs, rows, picks))),
            Section("Contamination", contamination(runs, rows)),
            Section("Beside published figures", beside_published(runs, rows, one.lines)),
            Section("Warnings", warnings(runs, rows, one.lines)),
            Section("Provenance", provenance(runs, rows)),
        ]
