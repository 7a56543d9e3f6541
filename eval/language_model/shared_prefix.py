"""The harness's HF model, with requests grouped by shared prefix; tokens and stop rules are the harness's.

What this model does not group, it leaves to the harness's own methods: rolling log-likelihoods' windows, beams,
penalties, and networks whose layers cannot continue a shared prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import (
    handle_stop_sequences,
    has_bos_prefix,
    normalize_gen_kwargs,
    postprocess_generated_text,
)
from tqdm import tqdm

from nait.core.errors import ModelError
from nait.eval.language_model.generation import Finished, Generation, Pick, ids_of
from nait.eval.language_model.likelihoods import Answer, Likelihoods
from nait.eval.language_model.positions import SharedNetwork, automatic_tokens, open_shared
from nait.eval.language_model.requests.undefined_answers import check_logits
from nait.models.kv.stems import Ids

if TYPE_CHECKING:
    import torch

WARPERS = {
    "TemperatureLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper", "MinPLogitsWarper",
    "TypicalLogitsWarper", "EpsilonLogitsWarper", "EtaLogitsWarper",
}  # fmt: skip
"""transformers' steps before sampling that look at one token's scores alone."""
TEXTS = 64
"""Texts that are tokenised in one call."""


class SharedPrefixLM(HFLM):  # type: ignore[misc]
    """HFLM that forwards shared prefixes once.

    `batch_tokens` is the maximum number of own tokens in a batch; "auto": what the device holds. `not_shared` is the
    reason why the network's requests are not grouped; None if they are. `draw_numbers`: the numbers from which the
    random draws of a call's requests are seeded; None counts those with the same settings. `progress`: called with
    the number of requests that are done; None shows a bar for each call.
    """

    def __init__(self, *args: Any, batch_tokens: int | Literal["auto"], seed: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self.batch_tokens = automatic_tokens(self.model) if batch_tokens == "auto" else batch_tokens
        self.seed = seed
        self.not_shared: str | None = None
        self.draw_numbers: Sequence[int] | None = None
        self.progress: Callable[[int], Any] | None = None
        self.network: SharedNetwork | None = None
        self._encoded: dict[str, list[int]] = {}
        try:
            self._check_plain()
            self.network = open_shared(self.model, most_tokens=self.max_length)
        except ModelError as error:
            self.not_shared = error.what

    def _check_plain(self) -> None:
        if self.backend != "causal" or self.world_size > 1 or self.mixed_precision_dtype is not None:
            raise ModelError("only a causal model in one process and one precision shares prefixes")

    def answered(self, text: str, most_tokens: int, tokens: Sequence[int], until: Sequence[str]) -> None:
        """Called with each prompt, its limit, the tokens of its answer and the stop sequences; replaced to count."""

    @contextmanager
    def _done(self, count: int, name: str, disable_tqdm: bool) -> Iterator[Callable[[int], Any]]:
        """A function that takes the number of requests that are done, and shows them."""
        if self.progress is not None:
            yield self.progress
            return
        with tqdm(total=count, disable=disable_tqdm, desc=f"Running {name} requests") as bar:
            yield bar.update

    # Log-likelihoods

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[Answer]:
        """The harness's own, with texts tokenised in batches."""
        texts = (text for request in requests for text in _pair_texts(*request.args))
        self._encoded = self._encode(list(dict.fromkeys(texts)))
        try:
            answers: list[Answer] = super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        finally:
            self._encoded = {}
        return answers

    def tok_encode(
        self,
        string: str,
        add_special_tokens: bool | None = None,
        left_truncate_len: int | None = None,
        **options: Any,
    ) -> list[int]:
        """Token ids of a text, as the harness's."""
        if add_special_tokens is None and not left_truncate_len and string in self._encoded:
            return self._encoded[string]
        ids: list[int] = super().tok_encode(string, add_special_tokens, left_truncate_len, **options)
        return ids

    def _encode(self, texts: Sequence[str]) -> dict[str, list[int]]:
        """Token ids by text, for texts that `tok_encode` encodes with the tokenizer's defaults."""
        prefix = self.tokenizer.decode(self.prefix_token_id)
        options = {} if self.add_bos_token is None else {"add_special_tokens": self.add_bos_token}
        texts = [text for text in texts if not has_bos_prefix(text, prefix)]
        found: dict[str, list[int]] = {}
        for start in range(0, len(texts), TEXTS):
            part = texts[start : start + TEXTS]
            found.update(zip(part, self.tokenizer(part, **options)["input_ids"], strict=True))
        return found

    def _loglikelihood_tokens(
        self,
        requests: Sequence[tuple[tuple[str, str], list[int], list[int]]],
        disable_tqdm: bool = False,
        override_bs: int | None = None,
    ) -> list[Answer]:
        if self.network is None:
            answers: list[Answer] = super()._loglikelihood_tokens(requests, disable_tqdm, override_bs)
            return answers
        likelihoods = Likelihoods(self.network, batch_tokens=self.batch_tokens, dtype=self.softmax_dtype)
        tokens = [self._truncated(context, answer) for _, context, answer in requests]
        with self._done(len(tokens), "loglikelihood", disable_tqdm) as done:
            found = likelihoods.rate(tokens, done)
        for (request, _, _), answer in zip(requests, found, strict=True):
            if request is not None:
                self.cache_hook.add_partial("loglikelihood", request, answer)
        return found

    def _truncated(self, context: list[int], answer: list[int]) -> tuple[list[int], list[int]]:
        """The end of the context that fits the model's context together with the answer, and the answer."""
        assert context, "the harness gave an empty context"
        assert 0 < len(answer) <= self.max_length, "the harness gave no answer, or one beyond the context"
        return (context + answer)[-(self.max_length + 1) :][: -len(answer)], answer

    # Generation

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """The answer of each request, up to its first stop sequence."""
        texts: list[str] = [""] * len(requests)
        with self._done(len(requests), "generate_until", disable_tqdm) as done:
            for settings, numbers in _by_settings(requests):
                part = [requests[i] for i in numbers]
                draws = (
                    range(len(part)) if self.draw_numbers is None else [self.draw_numbers[i] for i in numbers]
                )
                found = self._generate(part, settings, draws, done)
                for number, text in zip(numbers, found, strict=True):
                    texts[number] = text
        return texts

    def _generate(
        self,
        requests: Sequence[Any],
        settings: Mapping[str, Any],
        draws: Sequence[int],
        done: Callable[[int], Any],
    ) -> list[str]:
        """The answers to requests with the same settings. `draws`: the number that seeds each one's draws."""
        options = normalize_gen_kwargs(dict(settings), self.max_gen_toks)
        eos = self.tok_decode(self.eot_token_id, skip_special_tokens=False)
        until = handle_stop_sequences(options.pop("until", None), eos=eos)
        most = int(options.pop("max_gen_toks"))
        sampling = None if self.network is None else self._sampling(options)
        if self.network is None or sampling is None or most >= self.max_length:
            texts: list[str] = super().generate_until(requests, disable_tqdm=True)
            done(len(requests))
            return texts
        pick, ends = sampling

        def drawn(logits_bv: torch.Tensor, places: Sequence[tuple[int, int]]) -> list[int]:
            return pick(logits_bv, [(draws[number], token) for number, token in places])

        generation = Generation(
            self.network, drawn, self._finished(until, ends), most_tokens=most, batch_tokens=self.batch_tokens
        )
        found: list[str] = [""] * len(requests)

        def take(number: int, tokens: list[int]) -> None:
            self.answered(requests[number].args[0], most, tokens, until)
            found[number] = text = self._text(tokens, until)
            self.cache_hook.add_partial("generate_until", requests[number].args, text)
            done(1)

        generation.answer(
            self._prompts([request.args[0] for request in requests], self.max_length - most), take
        )
        return found

    def _prompts(self, texts: Sequence[str], most_tokens: int) -> list[Ids]:
        """Token ids of prompts, truncated from the left."""
        found: list[Ids] = [ids_of([])] * len(texts)
        bos = getattr(self.tokenizer, "bos_token", None)
        for begins in (
            False,
            True,
        ):  # the harness decides by a batch's first text whether to add special tokens
            numbers = [i for i, text in enumerate(texts) if has_bos_prefix(text, bos) == begins]
            for start in range(0, len(numbers), TEXTS):
                part = numbers[start : start + TEXTS]
                ids, mask = self.tok_batch_encode(
                    [texts[i] for i in part], left_truncate_len=most_tokens, truncation=self.truncation
                )
                for i, row, real in zip(part, ids.numpy(), mask.bool().numpy(), strict=True):
                    found[i] = row[real]
        return found

    def _text(self, tokens: list[int], until: list[str]) -> str:
        """An answer's text, processed as in the harness."""
        whole = isinstance(self.think_end_token, int)
        if whole and self.think_end_token in tokens:
            tokens = tokens[len(tokens) - tokens[::-1].index(self.think_end_token) :]
        text = self.tok_decode(tokens)
        marker = self.think_end_token if isinstance(self.think_end_token, str) else None
        cut: str = postprocess_generated_text(text.lstrip() if whole else text, until, marker)
        return cut

    def _finished(self, until: Sequence[str], ends: frozenset[int]) -> Finished:
        """Whether an answer ends, as `generate` and the harness's stop criteria decide for a batch of one row."""
        longest = max(len(self.tokenizer.encode(stop, add_special_tokens=False)) for stop in until) + 2

        def finished(tokens: list[int]) -> bool:
            if tokens[-1] in ends:
                return True
            text = self.tokenizer.decode(tokens[-longest:])
            return any(stop in text for stop in until)

        return finished

    def _sampling(self, options: dict[str, Any]) -> tuple[Pick, frozenset[int]] | None:
        """How the next token is picked, and the tokens that end an answer; None for settings that are not shared."""
        from transformers.generation.utils import GenerationMode

        options = dict(options)
        if options.get("do_sample") is False and options.get("temperature") == 0.0:
            del options["temperature"]
        config, unused = self.model._prepare_generation_config(None, **options)
        modes = (GenerationMode.GREEDY_SEARCH, GenerationMode.SAMPLE)
        if unused or "max_length" in options or config.get_generation_mode() not in modes:
            return None
        steps = self.model._get_logits_processor(
            config, input_ids_seq_length=1, device=self.device, model_kwargs={}
        )
        if any(type(step).__name__ not in WARPERS for step in steps) or config.num_return_sequences != 1:
            return None
        ends = config.eos_token_id
        tokens = frozenset([ends] if isinstance(ends, int) else ends or ())
        return (_sampled(steps, self.seed) if config.do_sample else _greedy), tokens


def open_lm(
    network: Any,
    tokenizer: Any,
    *,
    shared: bool,
    batch_tokens: int | Literal["auto"],
    batch_size: int | str,
    seed: int,
) -> HFLM:
    """The language model that answers the harness's requests: with shared prefixes, or the harness's own."""
    options = {"pretrained": network, "tokenizer": tokenizer, "batch_size": batch_size}
    return SharedPrefixLM(batch_tokens=batch_tokens, seed=seed, **options) if shared else HFLM(**options)


def backend_warnings(lm: HFLM) -> list[str]:
    """One sentence if the language model was to share prefixes and cannot, or if a server answered."""
    if not isinstance(lm, HFLM):
        return ["a server answered: answers that end at their token limit are not counted"]
    reason = getattr(lm, "not_shared", None)
    return [f"prefixes are not shared, and eval.batch_size applies: {reason}"] if reason else []


def _pair_texts(context: str, answer: str) -> Iterator[str]:
    """The texts that the harness encodes for a context and its continuation."""
    if context:
        yield context + answer
        yield context.rstrip()


def _by_settings(requests: Sequence[Any]) -> Iterator[tuple[Mapping[str, Any], list[int]]]:
    """The numbers of the requests with the same generation settings."""
    groups: dict[str, tuple[Mapping[str, Any], list[int]]] = {}
    for number, request in enumerate(requests):
        settings = request.args[1]
        groups.setdefault(repr(sorted(settings.items())), (settings, []))[1].append(number)
    yield from groups.values()


def _greedy(logits_bv: torch.Tensor, _places: Sequence[tuple[int, int]]) -> list[int]:
    check_logits(logits_bv)
    return [int(token) for token in logits_bv.argmax(dim=-1).tolist()]


def _sampled(steps: Any, seed: int) -> Pick:
    """Draws from the processed distribution. Each token has its own generator, so batches do not change draws."""
    import torch

    def pick(logits_bv: torch.Tensor, places: Sequence[tuple[int, int]]) -> list[int]:
        check_logits(logits_bv)
        shares = torch.softmax(steps(None, logits_bv.float()), dim=-1)
        drawn = []
        for place, share in zip(places, shares, strict=True):
            (state,) = np.random.SeedSequence([seed, *place]).generate_state(1).tolist()
            generator = torch.Generator(share.device).manual_seed(state)
            drawn.append(int(torch.multinomial(share, 1, generator=generator)))
        return drawn

    return pick
