"""Reachability of the Hugging Face Hub: a quick check, since its clients retry for most of a minute."""

from __future__ import annotations

import os
import ssl
import threading
import urllib.error
import urllib.request

SECONDS = 2.5
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Environment variables that put the Hub's clients offline, so that they read only their caches."""
_TRUE = ("1", "ON", "YES", "TRUE")
"""Values that switch them on, as in the clients."""


def closed_hub() -> str:
    """Why the Hub cannot be used, for a message; "" when it can."""
    name = offline_variable()
    return f"{name} is set" if name else unreachable_hub()


def offline_variable() -> str:
    """The name of the environment variable that puts the Hub offline; "" when none does."""
    return next((name for name in OFFLINE if os.environ.get(name, "").upper() in _TRUE), "")


def unreachable_hub() -> str:
    """Why the Hub cannot be reached; "" when it answers, even with an error status.

    One request, with a timeout of `SECONDS`.
    """
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    found: list[str] = []
    request = threading.Thread(target=lambda: found.append(_fault(hub)), daemon=True)
    request.start()
    request.join(SECONDS + 0.25)  # name resolution has no timeout
    fault = found[0] if found else f"no answer in {SECONDS:g} s"
    return f"{hub} cannot be reached ({fault})" if fault else ""


def _fault(hub: str) -> str:
    """Why the Hub does not answer; "" when it does."""
    try:
        request = urllib.request.Request(hub, method="HEAD")  # noqa: S310  # the user's own endpoint
        with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
            return ""
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        # A host answered. The client decides whether to trust it, with its own certificates.
        return "" if isinstance(reason, ssl.SSLCertVerificationError) else str(reason)
