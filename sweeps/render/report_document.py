"""A report's content, free of any format: sections of tables, figures and notes; and its Markdown and LaTeX.

Example texts are the pool's own and may be hostile: each format escapes what it must.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import resources

from nait.sweeps.render.markdown import escaped, table
from nait.sweeps.render.svg import Picture


@dataclass(frozen=True)
class Table:
    """Rows of text under a header. `name` is the file name of its figures and its label in LaTeX."""

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
        """The table of these cells as text. `code`: its last column is to be copied, letter by letter."""
        rows = tuple(tuple(str(cell) for cell in row) for row in body)
        return Table(name, tuple(str(cell) for cell in header), rows, caption, code)

    def named(self, name: str) -> Table:
        """The same table under another name."""
        return replace(self, name=name)


@dataclass(frozen=True)
class Notes:
    """Sentences, one below the other."""

    said: tuple[str, ...]


Block = Table | Picture | Notes


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def anchor(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    def marked(self, title: str, name: str) -> Section:
        """The same section of one of several tables: before its title `title`, behind its blocks' names `name`."""
        blocks = tuple(
            block if isinstance(block, Notes) or not name else block.named(block.name + name)
            for block in self.blocks
        )
        return Section(title + self.title, blocks)


@dataclass(frozen=True)
class Document:
    """A title and the sections that have anything to say."""

    title: str
    sections: tuple[Section, ...]

    @staticmethod
    def of(title: str, sections: Iterable[Section]) -> Document:
        """The document without its empty blocks and sections."""
        kept = []
        for section in sections:
            blocks = tuple(block for block in section.blocks if _says_something(block))
            if blocks:
                kept.append(Section(section.title, blocks))
        return Document(title, tuple(kept))

    @property
    def pictures(self) -> list[Picture]:
        return [block for section in self.sections for block in section.blocks if isinstance(block, Picture)]


def _says_something(block: Block) -> bool:
    if isinstance(block, Table):
        return bool(block.body)
    return bool(block.said) if isinstance(block, Notes) else True


def as_html(document: Document) -> str:
    """One page that needs nothing else: no network, no scripts, both colour schemes."""
    from jinja2 import Environment

    source = resources.files(__package__).joinpath("report.html.jinja").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    kinds = {Table: "table", Picture: "picture", Notes: "notes"}
    return environment.from_string(source).render(document=document, kind=lambda block: kinds[type(block)])


def as_markdown(document: Document) -> str:
    """The same for a README; figures are the files beside it."""
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
                parts.append("\n".join(f"- {escaped(said)}" for said in block.said))
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
        return "  " + " & ".join(_latex(cell) for cell in cells) + r" \\"

    body = [line(row) for row in table.body]
    return "\n".join([
        r"\begin{table}", r"  \centering", r"  \small", f"  \\caption{{{_latex(table.caption or table.name)}}}",
        f"  \\label{{tab:{table.name}}}", f"  \\begin{{tabular}}{{{'l' * len(table.header)}}}", r"  \toprule",
        line(table.header), r"  \midrule", *body, r"  \bottomrule", r"  \end{tabular}", r"\end{table}",
    ])  # fmt: skip


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))
