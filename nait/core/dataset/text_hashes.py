"""Text hashes: normalised words, and runs of words as 64-bit rolling hashes.

A word is a run of letters and digits. Case, punctuation, underscores, invisible characters, ligatures and the
encoding of accents are normalised away. In scripts without spaces, each character is a word.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

_UNSPACED = (
    "\u0e01-\u0e33\u0e40-\u0e4d\u0e80-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3041-\u309f\u30a1-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_INVISIBLE = dict.fromkeys([0xAD, 0x2060, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F)])
_BASE = 0x9E3779B97F4A7C15


def words_of(text: str) -> list[str]:
    """The normalised words of a text."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_INVISIBLE)).casefold()
        text = unicodedata.normalize("NFKC", text)
    return _WORD.findall(text.lower())


def digest(words: Sequence[str]) -> bytes:
    """The digest of a sequence of words."""
    return hashlib.blake2b(" ".join(words).encode(errors="surrogatepass"), digest_size=16).digest()


def hashed(words: Sequence[str]) -> Hashes:
    """Hashes [W] of the words."""
    return np.fromiter(map(_word, words), dtype=np.uint64, count=len(words))


def runs(hashes: Hashes, shortest: int, longest: int) -> list[Hashes]:
    """For each length from `shortest` to `longest`, the hashes of all runs of that many words, from word hashes [W].

    A run's hash is a polynomial of its word hashes modulo 2^64, so each length extends the previous one.
    """
    base, total = np.uint64(_BASE), np.zeros(len(hashes), dtype=np.uint64)
    found = []
    with np.errstate(over="ignore"):
        for length in range(1, longest + 1):
            total = total[: max(len(hashes) - length + 1, 0)] * base + hashes[length - 1 :]
            if length >= shortest:
                found.append(total)
    return found


@lru_cache(maxsize=1 << 18)
def _word(word: str) -> int:
    return int.from_bytes(
        hashlib.blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest(), "little"
    )
