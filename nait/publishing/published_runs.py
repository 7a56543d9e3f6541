"""A run as a folder that others can use. It contains no text of the pool, whose licence may not allow it."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from nait.core.errors import DataError
from nait.core.inputs.paths import at_home
from nait.core.inputs.shapes import fault, keyed, leaf, optional, record, text, whole
from nait.core.inputs.visible_text import visible
from nait.publishing.cards import card
from nait.publishing.command_words import Presets
from nait.store import MANIFEST, Artifact, Store, read_json, reading, write_text

RUN = "run.json"
SCORES, IDS, DIRECTIONS, ADAPTER = "scores.parquet", "selected_ids.txt", "directions", "adapter"
RECORD = record(
    {
        "status": text, "links": keyed(optional(text)), "seed": whole,
        **dict.fromkeys(("pool", "model", "selector"), text), **dict.fromkeys(("target", "budget"), optional(text)),
        "fingerprints": record({"pool": text, "model": text}),
        "config": record({
            "paths": record({"store": text}), **dict.fromkeys(("selector", "order", "budget"), keyed(lambda _: "")),
        }),
    },
    versions=keyed(leaf),
)  # fmt: skip
NOT_WEIGHTS = (MANIFEST, "curve.json")
"""Files of an adapter's artifact that are not part of the adapter."""


def publish(
    run: str | Path,
    out: str | Path,
    *,
    store: str | Path | None = None,
    upload: str | None = None,
    presets: Presets = lambda _group, _option: {},
) -> Path:
    """The new folder `out` with what a run made: scores, ids of the selected rows, directions, adapter and a card.

    - `run`: the run's folder, which contains `run.json`.
    - `store`: the run's store; None: the one that `run.json` names.
    - `upload`: OWNER/NAME of a private Hub repository that receives the folder. None: nothing leaves this machine.
    - `presets`: the settings of an option, which the card's commands need not repeat.

    Raises: DataError for a folder without a finished run, a missing artifact, or an existing `out`.
    """
    manifest = _manifest(at_home(run))
    target = at_home(out)
    if target.exists():
        raise DataError("it exists already", where=str(out), fix="Name a new folder.")
    kept = _artifacts(manifest, Store(at_home(store or manifest["config"]["paths"]["store"]), read_only=True))
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    _write(part, kept)
    write_text(part / "README.md", card(manifest, kept, presets))
    part.rename(target)
    if upload is not None:
        from nait.hub.uploads import upload_folder

        upload_folder(target, upload, kind="model" if ADAPTER in kept else "dataset")
    return target


def _manifest(folder: Path) -> dict[str, Any]:
    if not (folder / RUN).is_file():
        raise DataError(f"there is no {RUN}", where=str(folder), fix="Give the folder of a run.")
    found: dict[str, Any] = read_json(folder / RUN)
    if wrong := fault(found, RECORD):
        raise DataError(
            f"is not the record of a run ({wrong})", where=str(folder / RUN), fix="Run the job again."
        )
    if found["status"] != "done" or not (found["links"].get("selection") and found["links"].get("scores")):
        raise DataError(
            "this run has not selected rows, or has not ended",
            where=str(folder / RUN),
            fix="Run the job to its end.",
        )
    return found


def _artifacts(manifest: dict[str, Any], store: Store) -> dict[str, Artifact]:
    """Name in the folder -> artifact. Raises: DataError for one that the store lacks."""
    links = manifest["links"]
    scores = _found(store, "scores", links["scores"])
    kept = {SCORES: _found(store, "selections", links["selection"])}
    found = _directions(store, scores)
    columns = list(scores.manifest["targets"])
    if len(columns) != len(found):  # two targets of one reference set share their directions
        columns = [one.manifest["target"] for one in found]
    for name, one in zip(columns, found, strict=True):
        kept[_free_name(f"{DIRECTIONS}/{_folder_name(str(name))}", kept)] = one
    if links.get("adapter"):
        kept[ADAPTER] = _found(store, "adapters", links["adapter"])
    if links.get("evaluation"):
        kept["results.json"] = _found(store, "evaluations", links["evaluation"])
    return kept


def _directions(store: Store, scores: Artifact) -> list[Artifact]:
    """The directions that the scores project on. Raises: DataError for one that the store lacks.

    Scores of earlier versions do not name them: then all of the same settings that are made of the same measurements.
    """
    if "derived" in scores.manifest:
        return [_found(store, kind, name) for kind, name in scores.manifest["derived"] if kind == DIRECTIONS]
    config = scores.manifest["key"]["selector"]
    wanted = [config.get(name) for name in ("site", "reference_feature", "direction", "sign", "components")]
    measured = {tuple(part[:2]) for part in scores.manifest.get("made_of", ())}
    found = []
    for one in store.artifacts("directions") if wanted[0] else ():
        key = one.manifest["key"]
        settings = [
            key["reading"]["site"],
            key["reading"]["feature"],
            key["kind"],
            key["sign"],
            key["components"],
        ]
        if settings == wanted and {tuple(part[:2]) for part in one.manifest.get("made_of", ())} <= measured:
            found.append(one)
    return found


def _found(store: Store, kind: str, address: str) -> Artifact:
    found = store.find(kind, address)
    if found is None:
        raise DataError(
            f"{kind}/{address} is not in the store", where=str(store.root), fix="Run the job again."
        )
    return found


def _folder_name(target: str) -> str:
    """A target's name without characters that are special in paths, and without the + of merged targets."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in target).strip(".")


def _free_name(name: str, taken: Collection[str]) -> str:
    """The name, with a number if it is taken: two targets may differ only in characters that are left out."""
    numbered = [name, *(f"{name}_{number}" for number in range(2, len(taken) + 2))]
    return next(one for one in numbered if one not in taken)


def _write(folder: Path, kept: dict[str, Artifact]) -> None:
    for name, artifact in kept.items():
        with reading(artifact.path):
            for source, place in _files(name, artifact):
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / place)
    write_text(folder / IDS, "".join(f"{_on_one_line(key)}\n" for key in _selected(kept[SCORES])))


def _files(name: str, artifact: Artifact) -> Iterator[tuple[Path, str]]:
    """(file of the artifact, its place in the folder)."""
    if name in (SCORES, "results.json"):
        yield artifact.path / name, name
        return
    for file in sorted(artifact.path.iterdir()):
        wanted = file.name not in NOT_WEIGHTS if name == ADAPTER else file.suffix in (".json", ".safetensors")
        if file.is_file() and wanted and file.suffix in (".json", ".safetensors"):
            yield file, f"{name}/{file.name}"


def _on_one_line(key: str) -> str:
    """An id; one with line breaks, which would look like several ids, has them as escapes."""
    return key if key.isprintable() else visible(key).replace("\n", "\\n")


def _selected(artifact: Artifact) -> list[str]:
    """The ids of the selected rows, best first."""
    from pyarrow import parquet

    table = parquet.read_table(artifact.path / SCORES, page_checksum_verification=True, partitioning=None)
    found: list[str] = table.filter(table.column("selected")).sort_by("rank").column("id").to_pylist()
    return found
