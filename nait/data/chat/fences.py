"""Code inside texts: fenced blocks and inline code, in which markers are text. Pure."""

from __future__ import annotations

import re

_FENCE = re.compile(r"(?m)`{3,}|^[ \t]*~{3,}")
_INFO = re.compile(r"[ \t]*[\w+#.-]+[ \t]*(?:\n|$)")
"""Language name after an opening fence; a closing fence has none."""
_INLINE = re.compile(r"`[^`\n]*`")
_FILLER = "\0"


def mask_fences(text: str) -> str:
    """The text with the characters inside closed fences replaced, at the same length.

    A fence that is not closed stays as it is: the text after it may be the next message. If a fence may both open
    and close a block, no block is replaced.
    """
    if "```" not in text and "~~~" not in text:
        return text
    blocks = _blocks(text)
    pieces, at = [], 0
    for start, end in blocks:
        pieces += [text[at:start], _FILLER * (end - start)]
        at = end
    return "".join([*pieces, text[at:]])


def without_code(text: str) -> str:
    """The text with fenced and inline code replaced, at the same length."""
    masked = mask_fences(text)
    return _INLINE.sub(lambda one: _FILLER * len(one[0]), masked) if "`" in masked else masked


def _blocks(text: str) -> list[tuple[int, int]]:
    """Start and end of the text inside each closed fence; empty when the fences are ambiguous."""
    blocks: list[tuple[int, int]] = []
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
            continue
        mark, first = fence[0].strip(), opened[0].strip()
        if mark[0] != first[0] or len(mark) < len(first):
            continue  # content of the block
        if "\n" not in text[opened.end() : fence.start()]:
            blocks.append((opened.end(), fence.start()))
            opened = None
        elif _INFO.match(text, fence.end()):
            opened = fence  # the block before was not closed
        elif not text[text.rfind("\n", 0, fence.start()) + 1 : fence.start()].strip(" \t>"):
            blocks.append((opened.end(), fence.start()))
            opened = None
        else:
            return []
    return blocks
