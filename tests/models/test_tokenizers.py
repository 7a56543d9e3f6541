"""Tokenizers of one process: those with the same content share a backend, whose cached words are never freed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tokenizers import AddedToken

import nait
from nait.models.tokens.tokenizers import PROBES, open_tokenizer

MODEL = Path(nait.__file__).parent / "nano" / "model"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder without its weights."""
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        shutil.copy(MODEL / name, tmp_path / name)
    return tmp_path


def test_openings_of_one_tokenizer_share_its_backend(folder: Path) -> None:
    first, second = open_tokenizer(folder), open_tokenizer(folder)
    assert first is not second
    assert first.backend_tokenizer is second.backend_tokenizer


def test_truncation_and_padding_of_one_user_do_not_reach_the_next(folder: Path) -> None:
    expected = [open_tokenizer(folder)(text)["input_ids"] for text in PROBES]
    used = open_tokenizer(folder)
    used.pad_token = used.pad_token or used.eos_token
    used(list(PROBES), truncation=True, max_length=4, padding="max_length")
    after = open_tokenizer(folder)
    assert after.backend_tokenizer is used.backend_tokenizer
    assert [after(text)["input_ids"] for text in PROBES] == expected


def test_a_backend_that_a_user_has_changed_is_not_shared(folder: Path) -> None:
    changed = open_tokenizer(folder)
    size = len(changed)
    changed.add_tokens([AddedToken("a new word")])
    after = open_tokenizer(folder)
    assert after.backend_tokenizer is not changed.backend_tokenizer
    assert len(after) == size
