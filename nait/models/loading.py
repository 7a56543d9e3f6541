"""Models by path: fingerprinted from their files, and loaded only when something must be computed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from nait.core.addresses import address
from nait.core.errors import ConfigError, ModelError, NaitError, first_line
from nait.core.inputs.checks import check_choice, check_whole
from nait.core.inputs.paths import at_home
from nait.core.ranks import workers_from
from nait.models.anatomy import halves_its_stream, keep_scale
from nait.models.checkpoint.context_lengths import context_of, steady_context_of
from nait.models.checkpoint.file_hashes import file_digests, identity
from nait.models.checkpoint.folders import check_folder, read_config
from nait.models.checkpoint.loaded_weights import check_finite, check_loaded, hide_load_report
from nait.models.checkpoint.model_files import files_read
from nait.models.devices.device_names import check_device
from nait.models.devices.leases import leased_device
from nait.models.devices.tensor_parallel import dismiss, follow, lead
from nait.models.tokens.tokenizers import check_ids, open_tokenizer

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
DTYPES = ("auto", "float32", "bfloat16", "float16")
SPREADS = ("auto", "balanced", "balanced_low_0", "sequential")
DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")


@dataclass(frozen=True)
class LocalModel:
    """A causal language model in a folder (config.json, safetensors, tokenizer files).

    `dtype=auto` keeps the checkpoint's dtype. `max_length` truncates every text, for scoring and for training.
    `tensor_parallel` splits each layer among the processes of a launcher; rank 0 runs the job. Code in the folder
    runs only with an explicit `trust_remote_code=true`; weights are read only from safetensors.
    """

    path: str
    name: str | None = None
    dtype: Dtype = "auto"
    device: str = "auto"
    attn_implementation: str | None = None
    device_map: str | None = None
    tensor_parallel: bool = False
    trust_remote_code: bool = False
    max_length: int = 512
    fingerprints: str | None = None

    def __post_init__(self) -> None:
        check_choice("model.dtype", self.dtype, DTYPES)
        check_whole("model.max_length", self.max_length, least=2, fix="512 is usual.")
        check_device(self.device)
        self._check_spread()
        if self.name is None:
            object.__setattr__(self, "name", self.folder.name)
        self.check()

    @property
    def folder(self) -> Path:
        return at_home(self.path).resolve()

    def check(self) -> None:
        """Check the folder. Raises: ModelError if it holds no causal language model that can be opened."""
        check_folder(self.folder, self.path, trust_remote_code=self.trust_remote_code)
        self.check_length(self.max_length, key="model.max_length")

    def check_length(self, tokens: int, *, key: str) -> None:
        """Raises: ConfigError for a length limit beyond what the model can read. `key`: its config key."""
        context = self.context()
        if context is not None and tokens > context:
            raise ConfigError(
                f"{tokens} is more than the model's context of {context} tokens",
                where=key,
                fix=f"Set {key}={context} or less.",
            )
        steady = steady_context_of(read_config(self.folder))
        if steady is not None and tokens > steady:
            raise ConfigError(
                f"with {tokens}, the numbers of a row would depend on the longest row of its batch: the model "
                f"encodes positions in another way beyond {steady} tokens (longrope)",
                where=key,
                fix=f"Set {key}={steady} or less.",
            )

    def context(self) -> int | None:
        """Maximum context in tokens; None if the config does not name it."""
        return context_of(read_config(self.folder))

    def depth(self) -> int:
        """Number of blocks, from the config. Raises: ModelError if the config does not name it."""
        config = read_config(self.folder)
        text = config.get("text_config")  # a multimodal config nests the language model's
        found = [part[name] for part in (config, text or {}) for name in DEPTHS if name in part]
        if not found or type(found[0]) is not int or found[0] < 1:
            raise ModelError(
                f"its config.json has no number of blocks ({' or '.join(DEPTHS)})",
                where=f"model.path={self.path}",
                fix="Add num_hidden_layers to it, or name the layers: 'selector.layers=[1],[2]'.",
            )
        return int(found[0])

    def drops_out(self) -> bool:
        """Whether the network draws dropout of its own while it is trained: its config has a rate above 0."""
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(
            str(self.folder), trust_remote_code=self.trust_remote_code, local_files_only=True
        )
        parts = (config.to_dict(), config.get_text_config().to_dict())
        return any(
            "drop" in name and isinstance(value, (int, float)) and value > 0
            for part in parts
            for name, value in part.items()
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hash of every file that opening the model reads, and of the dtype.

        Raises: ModelError if a file has changed since the model was opened.
        """
        self._check_unchanged()
        return self._address()

    def _address(self) -> str:
        memory = Path(self.fingerprints) if self.fingerprints else None
        files = files_read(self.folder, trust_remote_code=self.trust_remote_code)
        scale = {"rescaled": False} if halves_its_stream(read_config(self.folder)) else {}
        return address({"files": file_digests(files, memory), "dtype": self.dtype, **scale})

    @cached_property
    def _identities(self) -> dict[str, str]:
        """Identity of every file that is read, at its first use."""
        return self._identities_now()

    def _identities_now(self) -> dict[str, str]:
        files = files_read(self.folder, trust_remote_code=self.trust_remote_code)
        return {name: identity(file) for name, file in files.items()}

    def _check_unchanged(self) -> None:
        """Raises: ModelError if a file has changed since the model was fingerprinted or opened."""
        now, before = self._identities_now(), self._identities
        changed = sorted(name for name in {*now, *before} if now.get(name) != before.get(name))
        if not changed:
            return
        if self.__dict__.get("fingerprint") == self._address():  # the bytes are the same
            self.__dict__["_identities"] = now
            return
        raise ModelError(
            "has changed since this run first read it",
            where=str(self.folder / changed[0]),
            fix="Start the run again when the folder is complete.",
        )

    def load(self) -> tuple[Any, Any]:
        """The network in eval mode on its device, and its tokenizer."""
        return self.load_network(), self.load_tokenizer()

    def load_network(self) -> Any:
        """The causal language model in eval mode. Raises: ModelError if transformers cannot open it."""
        return lead(self._load) if self.tensor_parallel else self._load()

    def load_on(self, device: Literal["cpu", "meta"]) -> Any:
        """The network in the host's memory, or (`meta`) without its weights: to be sharded over processes."""
        placed = replace(self, device="cpu", device_map=None, tensor_parallel=False)
        return placed._load() if device == "cpu" else placed._opened({"device_map": device})[0].eval()

    def load_quantized(self) -> Any:
        """The network in eval mode, its linear layers in 4-bit NormalFloat with double quantisation (QLoRA).

        Products run in the model's dtype, in bfloat16 for float16. The LM head and the embeddings are not quantised.
        """
        import torch
        from transformers import AutoConfig, BitsAndBytesConfig

        own = AutoConfig.from_pretrained(
            str(self.folder), trust_remote_code=self.trust_remote_code, local_files_only=True
        ).dtype
        asked = own if self.dtype == "auto" else getattr(torch, self.dtype)
        dtype = torch.float32 if asked == torch.float32 else torch.bfloat16
        four_bits = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
        place = self.device_map or {"": self.torch_device()}
        network, info = self._opened({"quantization_config": four_bits, "device_map": place, "dtype": dtype})
        check_loaded(network, info, where=str(self.folder))
        return network.eval()

    @property
    def leftovers(self) -> str | None:
        """Names the checkpoint's unused tensors in a sentence; "" if there are none, None before loading."""
        return self.__dict__.get("_leftovers")

    def follow(self) -> None:
        """Run this process's part of a tensor-parallel model until rank 0 calls `dismiss`."""
        follow(self._load)

    def dismiss(self) -> None:
        """Shut down the tensor-parallel workers."""
        dismiss()

    def _load(self) -> Any:
        options: dict[str, Any] = {"device_map": self.device_map} if self.device_map else {}
        if self.tensor_parallel:
            from transformers.distributed import DistributedConfig

            options["distributed_config"] = DistributedConfig(tp_plan="auto")
        network, info = self._opened(options)
        self.__dict__["_leftovers"] = check_loaded(network, info, where=str(self.folder))
        if not self.device_map and not self.tensor_parallel:
            network = network.to(self.torch_device())
        check_finite(network, where=str(self.folder))
        return network.eval()

    def _opened(self, placing: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
        """The network and the loading report. `placing`: options of transformers that decide the devices.

        Raises: ModelError if transformers cannot open it.
        """
        import torch
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # a one-second bar between ours is noise
        hide_load_report()
        self._check_unchanged()
        options: dict[str, Any] = {
            "dtype": self.dtype if self.dtype == "auto" else getattr(torch, self.dtype)
        }
        if self.attn_implementation:
            options["attn_implementation"] = self.attn_implementation
        try:
            opened: tuple[Any, Mapping[str, Any]] = AutoModelForCausalLM.from_pretrained(
                str(self.folder),
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # check_loaded refuses them by name
                use_safetensors=True,
                trust_remote_code=self.trust_remote_code,
                local_files_only=True,
                **{**options, **placing},
            )
        except NaitError:
            raise
        except Exception as error:  # of a config that it does not fit, transformers raises any
            raise self._unopened(error) from error
        keep_scale(opened[0])
        return opened

    def _unopened(self, error: Exception) -> ModelError:
        """The error for a model that transformers does not open."""
        config, what = read_config(self.folder), f"transformers cannot open it ({first_line(error)})"
        fix = "Check model.path."
        if "auto_map" in config and not self.trust_remote_code:
            fix = "Set model.trust_remote_code=true if you trust the code in its folder."
        elif "quantization_config" in config:
            fix = "Its weights are quantised: install the library that reads them, or use the original checkpoint."
        elif isinstance(config.get("text_config"), dict) and "Unrecognized configuration" in str(error):
            kind = config.get("model_type")
            what = f"it is a multimodal model ({kind}), whose text model transformers does not open alone"
            fix = "Use the text model that it is built on."
        return ModelError(what, where=str(self.folder), fix=fix)

    def torch_device(self) -> str:
        """Name of the device: the configured one, or the first available of CUDA, MPS and CPU.

        Several processes of one command on one machine use different GPUs, in turn. A leased GPU is used if one is
        leased.
        """
        import torch

        device = self.device
        if device == "auto" and torch.cuda.is_available():
            device = "cuda"
        elif device == "auto":
            device = "mps" if torch.backends.mps.is_available() else "cpu"
        local = workers_from(os.environ).local
        if device == "cuda" and (leased := leased_device()) is not None:
            return f"cuda:{leased}"
        if device != "cuda" or local is None:
            return device
        return f"cuda:{local % max(1, torch.cuda.device_count())}"

    def _check_spread(self) -> None:
        """Raises: ConfigError if several processes would each use all GPUs, or one alone is tensor-parallel."""
        workers = workers_from(os.environ)
        if self.tensor_parallel and (workers.count == 1 or self.device_map):
            raise ConfigError(
                "tensor parallelism needs several processes, each with its own device",
                where="model.tensor_parallel=true",
                fix="Start it with torchrun --nproc-per-node N -m nait ..., with model.device_map=null; or use "
                "model.device_map=auto in one process.",
            )
        if self.device_map in SPREADS and workers.local is not None and workers.local_count > 1:
            raise ConfigError(
                f"{workers.local_count} processes would each spread the model over all GPUs",
                where=f"model.device_map={self.device_map}",
                fix="Start one process, or set model.device_map=null for one GPU per process.",
            )

    def load_tokenizer(self) -> Any:
        """The folder's own tokenizer. Raises: ModelError if it cannot be opened or its ids exceed the embedding."""
        self._check_unchanged()
        tokenizer = open_tokenizer(self.folder, trust_remote_code=self.trust_remote_code)
        check_ids(tokenizer, self.vocabulary(), where=str(self.folder))
        return tokenizer

    def vocabulary(self) -> int | None:
        """Rows of the embedding; None if the config does not name them."""
        config = read_config(self.folder)
        text = config.get("text_config")
        sizes = (part.get("vocab_size") for part in (config, text) if isinstance(part, dict))
        return next((size for size in sizes if isinstance(size, int)), None)
