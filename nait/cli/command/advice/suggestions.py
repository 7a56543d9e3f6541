"""Suggestions for words that are not `key=value`: commands, files, options, flags."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from nait.cli.command.advice.key_synonyms import answer_to, synonym
from nait.cli.command.config_groups import GroupOptions
from nait.core.errors import ConfigError, did_you_mean, either

SELECT = (
    "nait 'stages=[select]' model=local model.path=MODEL_FOLDER data=file data.path={pool} "
    "target=file target.path=REFERENCE_FILE budget.ratio=0.1"
)
RUN = "The demo is: nait experiment=quickstart. Your own run: " + SELECT.format(pool="POOL_FILE") + "."
EVALUATE = (
    "Type nait 'stages=[select,train,evaluate]' and your model, data and target; train=none skips training."
)
COMMANDS = {
    "run": RUN,
    "demo": RUN,
    "start": RUN,
    "train": "Type nait 'stages=[select,train]' and your model, data and target.",
    "eval": EVALUATE,
    "evaluate": EVALUATE,
    "report": "Type nait-leaderboard store --report for a report on all runs in a store.",
    "leaderboard": "Type nait-leaderboard store.",
    "plan": "Add plan=true to the words of a run.",
    "sweep": "Type nait sweep=methods; nait ls sweeps lists the others.",
    "list": "Type nait --help for all groups, options and keys, or nait-leaderboard store for the runs in a store.",
    "doctor": "Add plan=true to the words of a run: it shows what would run and what is missing.",
    "version": "Type nait --version.",
    "config": "Type nait --cfg job, or nait --cfg job --package selector for one group.",
}
SHORT = ("select", "compare", "explain", "show", "publish", "verify", "directions", "store")
"""Commands with options of their own."""
FLAGS = {
    "top": "budget.ratio=0.1",
    "model": "model=local model.path=MODEL_FOLDER",
    "data": "data=file data.path=POOL_FILE",
    "target": "target=file target.path=REFERENCE_FILE",
    "output": "paths.runs=FOLDER",
    "dry-run": "plan=true",
    "plan": "plan=true",
    "like": "target=file target.path=REFERENCE_FILE",
    "method": "selector=NAME",
    "rows": "budget=count budget.count=500",
    "tokens": "budget=tokens budget.tokens=1e6",
    "out": "paths.runs=FOLDER, the folder of the run and of its selected.jsonl",
}


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?%?")
HELP_FLAGS = ("help-all", "helpall", "usage", "help-full", "all-help", "?")
"""Flags that ask for more help."""
LETTERS = {
    "o": "Values have no dashes: paths.runs=FOLDER. nait select has --out FILE.",
    "v": "Add hydra.verbose=true for all log messages; nait --version prints the version.",
    "q": "Add 2>FILE: the log goes to stderr, the result to stdout.",
    "quiet": "Add 2>FILE: the log goes to stderr, the result to stdout.",
    "s": "Values have no dashes: seed=N, or selector=NAME.",
}
"""Short flags of other tools -> what to type."""
FREE_TEXTS = (
    "label",
    "group",
    "data.name",
    "model.name",
    "target.name",
    "tracking.group",
    "tracking.project",
)
"""Keys whose value may contain spaces."""
NEEDED = (
    "selector", "order", "budget", "data", "model", "target", "template", "train", "eval", "tracking", "cost",
    "report", "engine", "paths",
)  # fmt: skip
"""Groups that every run needs."""


def check_words(words: Sequence[str], options: GroupOptions) -> None:
    """Raises: ConfigError for a word without `=`, a space next to `=`, or a deleted group that a run needs."""
    bare = [word for word in words if "=" not in word and not word.startswith("~")]
    spaced = [word for word in words if word.startswith("=")]
    joined = _unclosed(words)
    if joined:
        what = "the shell split the value at a space"
        raise ConfigError(what, where=joined.partition("=")[0], fix=f"Quote it: {shlex.quote(joined)}.")
    if spaced:
        fix = "Write key=value without spaces, and quote a value that contains spaces: 'label=my run'."
        raise ConfigError("there is a space next to '='", where=" ".join(words), fix=fix)
    deleted = [word[1:] for word in words if word.startswith("~") and word[1:] in NEEDED]
    if deleted:
        group = deleted[0]
        fix = f"Choose one: {group}={either(options.groups.get(group, []))}."
        raise ConfigError("a run needs this group", where=f"~{group}", fix=fix)
    if bare and (listed := _cut_list(words, options)):
        what = "the shell split the values at a space"
        fix = f"Values have commas between them and no spaces: -m {listed} runs each."
        raise ConfigError(what, where=listed.partition("=")[0], fix=fix)
    if bare and (text := _cut_text(words, bare[0])):
        what = "the shell split the value at a space"
        raise ConfigError(what, where=text.partition("=")[0], fix=f"Quote it: {shlex.quote(text)}.")
    if bare:
        what = "each word is KEY=VALUE or GROUP=OPTION"
        raise ConfigError(what, where=" ".join(map(shlex.quote, bare)), fix=_fix(bare, options))


def _unclosed(words: Sequence[str]) -> str:
    """A word with an open bracket, joined with the words up to the closing bracket; "" if no bracket is open."""
    for i, word in enumerate(words):
        if "=" not in word or not any(_depth(word, pair) > 0 for pair in ("{}", "[]")):
            continue
        for end in range(i + 2, len(words) + 1):
            joined = " ".join(words[i:end])
            if "=" not in words[end - 1] and not any(_depth(joined, pair) for pair in ("{}", "[]")):
                bare = "=[" in joined and "," not in joined and ":" not in joined
                return joined.replace(" ", ",") if bare else joined
    return ""


def _cut_text(words: Sequence[str], bare: str) -> str:
    """A text such as `label=my run` that the shell cut before `bare`, joined again; "" for any other word."""
    at = list(words).index(bare)
    before = words[at - 1] if at else ""
    return f"{before} {bare}" if before.partition("=")[0] in FREE_TEXTS and "=" in before else ""


def _cut_list(words: Sequence[str], options: GroupOptions) -> str:
    """Values such as `seed=0, 1, 2` or `selector=nait rds` that the shell cut, joined again; "" for any others."""
    for i, word in enumerate(words):
        key, equal, value = word.partition("=")
        following = list(takewhile(lambda one: "=" not in one, words[i + 1 :]))
        if not equal or not value or not following:
            continue
        parts = [one.strip(",") for one in (value, *following)]
        commas = all(one.endswith(",") for one in (value, *following[:-1]))
        numbers = all(_NUMBER.fullmatch(part) for one in parts for part in one.split(","))
        known = options.groups.get(key, ())
        if commas or numbers or all(part in known for one in parts for part in one.split(",")):
            return f"{key}={','.join(parts)}"
    return ""


def _depth(text: str, pair: str) -> int:
    return text.count(pair[0]) - text.count(pair[1])


def _fix(bare: Sequence[str], options: GroupOptions) -> str:
    first, *others = bare
    key, colon, value = first.partition(":")
    value = value.strip() or " ".join(others)
    if colon and value and (options.is_key(key) or key in options.groups):
        return f"Type {shlex.quote(f'{key}={value}')}."
    if first not in COMMANDS and options.is_key(first):
        return f"Give it a value: {first}=VALUE."
    files = [word for word in others or bare if Path(word).exists() or "." in word]
    if first == "select" or (files and first == files[0]):
        return f"Type {SELECT.format(pool=shlex.quote(files[0]) if files else 'POOL_FILE')}."
    if first in COMMANDS:
        return COMMANDS[first]
    groups = [name for name, known in options.groups.items() if first in known]
    if groups:
        return f"Did you mean {either([f'{group}={first}' for group in groups])}?"
    if first in options.groups:
        return f"{first} is one of: {', '.join(options.groups[first])}."
    near = did_you_mean(first, (*COMMANDS, *SHORT))
    if near.startswith("Did") and any(repr(name) in near for name in SHORT):
        return f"{near} nait select POOL --like REF --model M; nait --help lists the commands."
    return "See nait run --help." if not near.startswith("Did") else f"{near} {RUN}"


def flag_advice(flag: str, known: Sequence[str]) -> str:
    """The suggestion for an unknown flag."""
    name, _, value = flag.lstrip("-").partition("=")
    if name.replace("_", "-") in HELP_FLAGS:
        return (
            "Type nait run --help for all groups and options, or nait --cfg job for every key with its value."
        )
    if name in LETTERS:
        return LETTERS[name]
    if name in FLAGS:
        return f"Values have no dashes: {FLAGS[name]}. See nait run --help."
    if answer := answer_to(name):
        return answer
    meant = synonym(name)
    if meant:
        word = f"-m {meant}" if "=" in meant else meant
        return f"Values have no dashes: {word}={value or 'VALUE'}. See nait run --help."
    near = did_you_mean(name.replace("-", "_"), known)
    suggestion = f" {near}" if near.startswith("Did") else ""
    example = f", as in {name}={value}" if value else ""
    return f"Values have no dashes: KEY=VALUE{example}.{suggestion} See nait run --help."
