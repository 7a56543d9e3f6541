"""What a completions server answers: a refusal, silence or an unusable answer is one clear error."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nait.core.errors import ModelError
from nait.core.inputs.secrets import masked

CONNECT_SECONDS = 10
SHOWN = 200
"""Characters of a server's answer that an error shows."""
KEY_REFUSED, NOT_FOUND = (401, 403), 404


def post(url: str, call: str, content: Mapping[str, Any], *, seconds: float) -> Any:
    """The server's answer to one call, from JSON; None if it has no JSON. Raises: ModelError if it refuses it."""
    import os

    import requests

    key = os.environ.get("OPENAI_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    address = f"{url.rstrip('/')}/{call}"
    with answering(address):
        answer = requests.post(address, json=content, headers=headers, timeout=(CONNECT_SECONDS, seconds))
        answer.raise_for_status()
    try:
        return answer.json()
    except ValueError:
        return None


def listed_models(url: str) -> list[Mapping[str, Any]]:
    """What the server states of each model that it serves (`GET /models`); empty where it has no such list."""
    import os

    import requests

    key = os.environ.get("OPENAI_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = requests.get(f"{url.rstrip('/')}/models", headers=headers, timeout=CONNECT_SECONDS)
        listed = answer.json()["data"]
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return []
    return [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []


@contextmanager
def answering(url: str) -> Iterator[None]:
    """Within the block, a request that fails is a ModelError: the server is silent, or refuses it."""
    import aiohttp
    import requests

    try:
        yield
    except requests.HTTPError as error:
        status, text = (
            (0, "") if error.response is None else (error.response.status_code, error.response.text)
        )
        raise _refused(url, status, text) from None
    except (json.JSONDecodeError, requests.JSONDecodeError, aiohttp.ContentTypeError):
        raise unusable(url, "no JSON") from None
    except aiohttp.ClientResponseError as error:
        raise _refused(url, error.status, error.message) from None
    except (requests.RequestException, aiohttp.ClientError, TimeoutError) as error:
        raise ModelError(
            f"the server does not answer ({type(error).__name__})",
            where=masked(url),
            fix="Check that it runs.",
        ) from None


def _refused(url: str, status: int, text: str) -> ModelError:
    fix = "See the server's log."
    if status in KEY_REFUSED:
        fix = "Set OPENAI_API_KEY to a key of this server."
    elif status == NOT_FOUND:
        fix = "Check the URL, which usually ends with /v1, and the model's name."
    said = masked(" ".join(text.split())[:SHOWN])
    return ModelError(f"the server refused the request ({status}: {said})", where=masked(url), fix=fix)


def unusable(url: str, what: str) -> ModelError:
    """The error for an answer that is not one of a completions server. `what`: what the server returned."""
    return ModelError(
        f"the server returned {what}",
        where=masked(url),
        fix="Use an OpenAI-compatible completions server, or eval.backend=shared_prefix.",
    )


def check_logprobs(choice: Any, tokens: int, *, where: str) -> None:
    """Check that an answer has the log-probability of each token of a prompt, and of the one that follows it.

    A server that ignores `echo` returns only the last, and every text would look certain. Raises: ModelError.
    """
    try:
        own, best = choice["logprobs"]["token_logprobs"], choice["logprobs"]["top_logprobs"]
        numbers = [*own[1:-1], *(max(one.values()) for one in best[1:-1])]
        whole = len(own) == len(best) == tokens + 1 and all(map(math.isfinite, numbers))
    except (KeyError, TypeError, ValueError, AttributeError):
        whole = False
    if not whole:
        raise unusable(where, f"no log-probability for each of the {tokens} tokens of a prompt (echo)")
