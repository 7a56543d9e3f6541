"""Short, distinct names for lines in tables and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from nait.core.addresses import address

MOST = 40
"""Maximum length of a name in a table's first column or in a figure."""
MOST_VALUE = 24
DIGEST = 6
CONTENT = ("reference", "pool content", "content", "reference_template")
"""Settings whose values are digests."""


def brief(key: str, value: str) -> str:
    """A setting's value, or its digest if it is long."""
    if key in CONTENT:
        return "+".join(part[:DIGEST] for part in value.split("+")[:2])
    short = value.replace(", ", ",").replace("'", "")
    return short if len(short) <= MOST_VALUE and "\n" not in short else address(value)[:DIGEST]


def titles(lines: Sequence[tuple[str, Mapping[str, str]]]) -> tuple[list[str], list[str]]:
    """Names for the lines (method, settings), and notes that explain abbreviations.

    Names are unique and at most `MOST` characters long.
    """
    whole = [_title(method, settings) for method, settings in lines]
    twice = {title for title, count in Counter(whole).items() if count > 1}
    numbers: dict[str, int] = {}
    found, notes = [], []
    for (method, settings), title in zip(lines, whole, strict=True):
        name = title
        if len(title) > MOST or title in twice:
            head = cut(method, MOST - 5)
            numbers[head] = numbers.get(head, 0) + 1
            name = f"{head} #{numbers[head]}"
            notes.append(f"{name}: {', '.join(_full(key, value) for key, value in settings.items())}.")
        else:
            notes += [
                f"{key}={brief(key, value)}: {_full(key, value)}."
                for key, value in settings.items()
                if key not in CONTENT and brief(key, value) == address(value)[:DIGEST]
            ]
        found.append(name)
    return found, list(dict.fromkeys(notes))


def _title(method: str, settings: Mapping[str, str]) -> str:
    shown = [f"{key}={brief(key, value)}" for key, value in settings.items() if value]
    return " ".join([method, *shown])


def _full(key: str, value: str) -> str:
    """A setting on one line, truncated to 160 characters."""
    text = " ".join(value.split())
    return f"{key}={text[:160]}…" if len(text) > 160 else f"{key}={text}"


def some(names: Sequence[str], most: int = 6) -> str:
    """The first names and the number of the others."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def cut(text: str, most: int = MOST) -> str:
    """The text, with the middle replaced by an ellipsis if it is longer than `most`."""
    if len(text) <= most:
        return text
    head = (most - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def fit(names: Iterable[str], most: int = MOST) -> dict[str, str]:
    """Name -> unique short name of at most `most` characters."""
    whole = list(dict.fromkeys(names))
    taken = {name for name in whole if len(name) <= most}
    found: dict[str, str] = {}
    for name in whole:
        short, k = name if name in taken else cut(name, most), 1
        while short in taken and short != name:
            k += 1
            short = f"{cut(name, most - 2 - len(str(k)))} #{k}"
        found[name] = short
        taken.add(short)
    return found


def legend(names: Iterable[str], most: int = MOST) -> tuple[str, ...]:
    """`short: full name.` for each name that is shortened."""
    return tuple(f"{short}: {name}." for name, short in fit(names, most).items() if short != name)


def unique_names(entries: Sequence[tuple[str, str, str]]) -> list[str]:
    """Unique names for these (name, target, budget), with target and budget only where they differ.

    Target and budget are empty for methods that do not depend on them.
    """
    targets = target_labels(target for _, target, _ in entries if target)
    several = len(targets) > 1, len({budget for *_, budget in entries if budget}) > 1
    found = []
    for name, target, budget in entries:
        parts = [name, targets[target] if several[0] and target else "", budget if several[1] else ""]
        found.append(", ".join(filter(None, parts)))
    return found


def target_labels(targets: Iterable[str]) -> dict[str, str]:
    """Target -> its label, or `N targets` for a merge of more than two if only one label merges N."""
    labels = list(dict.fromkeys(targets))
    counts = {label: label.count("+") + 1 for label in labels}
    alone = Counter(counts.values())
    return {
        label: f"{counts[label]} targets" if counts[label] > 2 and alone[counts[label]] == 1 else label
        for label in labels
    }
