"""Encoding: token ids and answer mask of an example, the same for scoring and training.

A row's spans are joined into strings, split at end tokens and at special-token text inside data (which stays text).
Each string is tokenised once, without special tokens. The tokenizer's beginning token is prepended if the template
uses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nait.core.dataset.examples import Example
from nait.core.dataset.token_table import TokenTable, token_table
from nait.core.errors import ModelError
from nait.models.prompts.templates import Span, Template
from nait.models.tokens.tokenizers import check_highest

Purpose = Literal["score", "train"]
BLOCK_ROWS = 1000
VERSION = 1


@dataclass(frozen=True, slots=True)
class _String:
    """One string to tokenise. `answers`: (start, end) character spans; `literal`: special tokens stay text."""

    text: str
    answers: tuple[tuple[int, int], ...]
    literal: bool = False


_END_TOKEN, _CONTEXT_END = True, False
"""A row's part that is the tokenizer's end token: True if it is scored and trained, False if it is context."""
_Part = _String | bool


def encode(
    examples: Sequence[Example],
    template: Template,
    tokenizer: Any,
    *,
    max_length: int,
    purpose: Purpose = "score",
    vocabulary: int | None = None,
) -> TokenTable:
    """Token table of `examples`, each row truncated on the right at `max_length` tokens. See `encode_blocks`."""
    blocks = encode_blocks(
        examples, template, tokenizer, max_length=max_length, purpose=purpose, vocabulary=vocabulary
    )
    return _concatenate(list(blocks))


def encode_blocks(
    examples: Sequence[Example],
    template: Template,
    tokenizer: Any,
    *,
    max_length: int | npt.NDArray[np.int64],
    purpose: Purpose = "score",
    vocabulary: int | None = None,
) -> Iterator[TokenTable]:
    """Token table of `examples` in blocks of rows, so that a large pool is never in memory twice.

    `max_length` is one limit for all rows, or one per row [N]. `vocabulary` is the number of rows of the embedding.

    Raises: ModelError for a token id beyond the embedding, such as a special token that only a template writes.
    """
    limits = np.broadcast_to(np.asarray(max_length, dtype=np.int64), len(examples))
    prefix = beginning(tokenizer) if template.adds_bos else []
    special = _special_pattern(tokenizer)
    for at in range(0, len(examples), BLOCK_ROWS):
        rows = [
            _parts(template.spans(example, tokenizer), template, purpose, special)
            for example in examples[at : at + BLOCK_ROWS]
        ]
        block = _encode_block(rows, template, tokenizer, prefix, limits[at : at + BLOCK_ROWS].tolist())
        if vocabulary is not None and len(block.input_ids):
            check_highest(tokenizer, int(block.input_ids.max()), vocabulary)
        yield block


def beginning(tokenizer: Any) -> list[int]:
    """Ids that the tokenizer prepends to a text (none for GPT-2 or Qwen)."""
    probe = "a"
    bare = tokenizer(probe, add_special_tokens=False)["input_ids"]
    full = tokenizer(probe, add_special_tokens=True)["input_ids"]
    for at in range(len(full) - len(bare) + 1):
        if full[at : at + len(bare)] == bare:
            return list(full[:at])
    return []


def _special_pattern(tokenizer: Any) -> re.Pattern[str] | None:
    words = sorted({str(t) for t in tokenizer.all_special_tokens if str(t)}, key=len, reverse=True)
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    words += [str(t) for t in added if getattr(t, "special", False) and str(t) not in words]
    return re.compile("|".join(re.escape(w) for w in words)) if words else None


def _parts(
    spans: Sequence[Span], template: Template, purpose: Purpose, special: re.Pattern[str] | None
) -> list[_Part]:
    """A row as strings and end tokens, in order. `eos` applies to the end of the last answer."""
    ends = template.eos == "always" or (template.eos == "train" and purpose == "train")
    last = max((i for i, span in enumerate(spans) if span.kind == "answer"), default=len(spans))
    parts: list[_Part] = []
    text = ""
    answers: list[tuple[int, int]] = []

    def close(*, literal: str = "", is_answer: bool = False) -> None:
        nonlocal text, answers
        if text:
            parts.append(_String(text, tuple(answers)))
        if literal:
            span = ((0, len(literal)),) if is_answer else ()
            parts.append(_String(literal, span, literal=True))
        text, answers = "", []

    for i, span in enumerate(spans):
        if span.kind in ("end", "close"):
            if i > last and not ends:
                continue
            if span.text:  # a chat template's own end of turn: trained up to its last visible character
                shown = span.text.rstrip() if i > last else span.text
                if ends and span.kind == "end":
                    answers.append((len(text), len(text) + len(shown.rstrip())))
                text += shown
            elif ends:
                close()
                parts.append(_END_TOKEN if span.kind == "end" else _CONTEXT_END)
            continue
        is_answer = span.kind == "answer"
        if template.join == "tokens" and i and spans[i - 1].kind != span.kind:
            close()
        pieces = _pieces(span.text, special) if span.data and special else [(span.text, False)]
        for piece, literal in pieces:
            if literal:
                close(literal=piece, is_answer=is_answer)
            elif piece:
                if is_answer:
                    answers.append((len(text), len(text) + len(piece)))
                text += piece
    close()
    return parts


def _pieces(text: str, special: re.Pattern[str]) -> Iterator[tuple[str, bool]]:
    at = 0
    for found in special.finditer(text):
        yield text[at : found.start()], False
        yield found.group(), True
        at = found.end()
    yield text[at:], False


def _encode_block(
    rows: Sequence[Sequence[_Part]],
    template: Template,
    tokenizer: Any,
    prefix: Sequence[int],
    limits: Sequence[int],
) -> TokenTable:
    strings = [part for row in rows for part in row if isinstance(part, _String) and not part.literal]
    literals = [part for row in rows for part in row if isinstance(part, _String) and part.literal]
    encoded = _tokenise(tokenizer, strings, boundary=template.boundary, literal=False)
    spelled = _tokenise(tokenizer, literals, boundary="offsets", literal=True)
    ids_rows, answer_rows, truncated = [], [], []
    for row, limit in zip(rows, limits, strict=True):
        ids, answer = list(prefix), [False] * len(prefix)
        for part in row:
            if isinstance(part, bool):
                ids.append(_end_token(tokenizer))
                answer.append(part)
            else:
                part_ids, part_answer = next(spelled if part.literal else encoded)
                ids += part_ids
                answer += part_answer
        truncated.append(len(ids) > limit)
        ids_rows.append(ids[:limit])
        answer_rows.append(answer[:limit])
    return token_table(ids_rows, answer_rows, truncated)


def _end_token(tokenizer: Any) -> int:
    if tokenizer.eos_token_id is None:
        raise ModelError(
            "the tokenizer has no end token",
            where=str(tokenizer.name_or_path),
            fix="Set template.eos=never.",
        )
    return int(tokenizer.eos_token_id)


def _tokenise(
    tokenizer: Any, strings: Sequence[_String], *, boundary: str, literal: bool
) -> Iterator[tuple[list[int], list[bool]]]:
    if not strings:
        return
    offsets = boundary == "offsets"
    out = tokenizer(
        [string.text for string in strings],
        add_special_tokens=False,
        return_attention_mask=False,
        return_offsets_mapping=offsets,
        split_special_tokens=literal,
        verbose=False,  # texts are truncated at max_length later
    )
    if offsets:
        for string, ids, places in zip(strings, out["input_ids"], out["offset_mapping"], strict=True):
            yield list(ids), _mask_by_offsets(string, places)
        return
    # Boundaries at the start or end of a string need no count. The others are mostly one prompt per row.
    heads = [
        string.text[:at]
        for string in strings
        for span in string.answers
        for at in span
        if 0 < at < len(string.text)
    ]
    counted = iter(
        tokenizer(heads, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
        if heads
        else []
    )
    for string, ids in zip(strings, out["input_ids"], strict=True):
        mask = [False] * len(ids)
        for span in string.answers:
            first, stop = (
                0 if at == 0 else len(ids) if at == len(string.text) else len(next(counted)) for at in span
            )
            mask[first:stop] = [True] * len(mask[first:stop])
        yield list(ids), mask


def _mask_by_offsets(string: _String, places: Sequence[tuple[int, int]]) -> list[bool]:
    """Mask of tokens that contain at least one character of an answer."""
    return [
        any(start < end_c and begin_c < end for start, end in string.answers) if end_c > begin_c else False
        for begin_c, end_c in places
    ]


def _concatenate(tables: Sequence[TokenTable]) -> TokenTable:
    shifts = np.cumsum([0] + [int(table.starts[-1]) for table in tables])
    return TokenTable(
        np.concatenate([table.input_ids for table in tables]),
        np.concatenate([table.answer for table in tables]),
        np.concatenate(
            [[0]] + [table.starts[1:] + shift for table, shift in zip(tables, shifts, strict=False)]
        ),
        np.concatenate([table.truncated for table in tables]),
    )
