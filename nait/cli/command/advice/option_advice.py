"""Advice for options that `nait select` and `nait compare` do not have: other words for theirs, and keys of a run."""

from __future__ import annotations

from nait.cli.command.advice.key_synonyms import answer_to, synonym

_WORDS = {
    "--like REF": "target ref reference references like_file r examples t target_path reference_file",
    "--rows N": "n num count k top_k topk num_rows n_rows size number",
    "--top SHARE": "ratio percent percentage p fraction share proportion budget_ratio",
    "--out FILE": "o output output_file out_file output_path save save_path out_path",
    "--plan": "dry_run dryrun dry estimate preview",
    "--model M": "m model_path model_name model_name_or_path base_model",
}
"""Option -> other words for it."""
_OPTION_OF = {word: option for option, words in _WORDS.items() for word in words.split()}
_METHOD = ("method", "methods", "selector", "selectors", "algorithm", "strategy")
_POOL = ("pool", "data", "dataset", "input", "i", "file", "data_path", "path", "pool_path")
_KEYS = {
    **{name: f"data.{name}" for name in ("on_bad", "columns", "limit", "format", "turns", "id_column", "field",
                                         "encoding", "separator", "reasoning", "duplicates")},
    **{name: f"model.{name}" for name in ("device", "dtype", "max_length", "revision", "trust_remote_code")},
    **{name: name for name in ("seed", "template", "tracking", "budget", "order", "label", "group", "train")},
    "layers": "selector.layers",
    "store": "paths.store",
}  # fmt: skip
"""Option that a user may expect -> the key of `nait run`."""


def option_advice(command: str, option: str) -> str:
    """What to type instead of an option that this command lacks; "" for a word that is not recognised."""
    if command not in ("select", "compare"):
        return ""
    name = option.lstrip("-").partition("=")[0].casefold().replace("-", "_")
    if name in _POOL:
        return f"The pool is the first word: nait {command} POOL."
    if name in _METHOD:
        return "Type --method NAME." if command == "select" else "Type --methods A,B."
    found = _OPTION_OF.get(name)
    if found and not (found.startswith("--out") and command == "compare"):
        return f"Type {found}."
    if name in ("verbose", "v", "debug"):
        return "Add hydra.verbose=true for all log messages."
    key = _KEYS.get(name)
    if not key and (answer := answer_to(name)):
        return answer
    key = key or synonym(name)
    return f"Keys of a run follow without dashes: {key}=VALUE." if key and "=" not in key else ""
