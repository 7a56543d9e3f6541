"""The content of a report (sections of tables, figures and notes), rendered as HTML, Markdown and LaTeX.

Example texts come from the pool and may be hostile, so each format escapes all text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import resources

from nait.core.inputs.visible_text import visible
from nait.sweeps.render.markdown import escaped, table
from nait.sweeps.render.svg import Picture

LONGEST_CELL = 60
"""Cells with more characters wrap."""


@dataclass(frozen=True)
class Table:
    """Rows of text under a header. `name` is the LaTeX label."""

    name: str
    header: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    caption: str = ""
    code: bool = False

    @staticmethod
    def of(
        name: str,
        header: Iterable[object],
        body: Iterable[Iterable[object]],
        *,
        caption: str = "",
        code: bool = False,
    ) -> Table:
        """A table of these cells as text. `code`: the last column is shown as code, to be copied."""
        rows = tuple(tuple(str(cell) for cell in row) for row in body)
        return Table(name, tuple(str(cell) for cell in header), rows, caption, code)

    @property
    def pixels(self) -> int:
        """The approximate width in a browser; long cells wrap."""
        columns = zip(self.header, *self.body, strict=True)
        return round(sum(15 + 7.6 * min(LONGEST_CELL, max(map(len, cells))) for cells in columns))

    def named(self, name: str) -> Table:
        """A copy with another name."""
        return replace(self, name=name)


@dataclass(frozen=True)
class Notes:
    """A list of sentences."""

    lines: tuple[str, ...]


Block = Table | Picture | Notes


@dataclass(frozen=True)
class Section:
    """A heading and its blocks."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def anchor(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    def marked(self, title: str, name: str) -> Section:
        """A copy for one of several tables: `title` precedes its title, `name` follows the names of its blocks."""
        blocks = tuple(
            block if isinstance(block, Notes) or not name else block.named(block.name + name)
            for block in self.blocks
        )
        return Section(title + self.title, blocks)


@dataclass(frozen=True)
class Document:
    """A title and the non-empty sections."""

    title: str
    sections: tuple[Section, ...]

    @staticmethod
    def of(title: str, sections: Iterable[Section]) -> Document:
        """The document without empty blocks and sections."""
        kept = []
        for section in sections:
            blocks = tuple(block for block in section.blocks if _is_filled(block))
            if blocks:
                kept.append(Section(section.title, blocks))
        return Document(title, tuple(kept))

    @property
    def pictures(self) -> list[Picture]:
        return [block for section in self.sections for block in section.blocks if isinstance(block, Picture)]


def _is_filled(block: Block) -> bool:
    if isinstance(block, Table):
        return bool(block.body)
    return bool(block.lines) if isinstance(block, Notes) else True


def as_html(document: Document) -> str:
    """One self-contained page without scripts, for light and dark colour schemes."""
    from jinja2.sandbox import SandboxedEnvironment

    source = resources.files(__package__).joinpath("report.html.jinja").read_text(encoding="utf-8")
    environment = SandboxedEnvironment(
        finalize=_visible, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    kinds = {Table: "table", Picture: "picture", Notes: "notes"}
    return environment.from_string(source).render(document=document, kind=lambda block: kinds[type(block)])


def _visible(value: object) -> object:
    """A text with its control characters as escapes; markup and other values unchanged."""
    return visible(value) if type(value) is str else value


def as_markdown(document: Document) -> str:
    """The report as Markdown; figures are files in the same folder."""
    parts = [f"# {escaped(document.title)}"]
    for section in document.sections:
        parts.append(f"## {escaped(section.title)}")
        for block in section.blocks:
            if isinstance(block, Table):
                parts += [f"**{escaped(block.caption)}**"] if block.caption else []
                parts.append(table(block.header, block.body, copied=block.code))
            elif isinstance(block, Picture):
                parts.append(f"![{escaped(block.alt)}]({block.name}.svg)")
            else:
                parts.append("\n".join(f"- {escaped(line)}" for line in block.lines))
    return "\n\n".join(parts) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "×": r"$\times$",
    "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def as_latex(document: Document) -> str:
    """The tables for a paper, with booktabs."""
    tables = [block for section in document.sections for block in section.blocks if isinstance(block, Table)]
    parts = [f"% {_latex(document.title)}. Needs \\usepackage{{booktabs}}."]
    return "\n\n".join([*parts, *(_latex_table(table) for table in tables)]) + "\n"


def _latex_table(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        text = " & ".join(_latex(cell) for cell in cells)
        # "[" and "*" would be arguments of the command at the end of the line above
        return f"  {'{}' * text.startswith(('[', '*'))}{text} \\\\"

    body = [line(row) for row in table.body]
    return "\n".join([
        r"\begin{table}", r"  \centering", r"  \small", f"  \\caption{{{_latex(table.caption or table.name)}}}",
        f"  \\label{{tab:{table.name}}}", f"  \\begin{{tabular}}{{{'l' * len(table.header)}}}", r"  \toprule",
        line(table.header), r"  \midrule", *body, r"  \bottomrule", r"  \end{tabular}", r"\end{table}",
    ])  # fmt: skip


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in visible(" ".join(text.split())))
