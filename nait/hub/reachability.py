"""The Hugging Face Hub: whether it may be asked and answers. Its own clients retry for most of a minute."""

from __future__ import annotations

import os
import ssl
import threading
import urllib.error
import urllib.request

SECONDS = 2.5
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Variables that forbid to ask the Hub: its clients then read their caches alone."""
_TRUE = ("1", "ON", "YES", "TRUE")
"""Their values that do, as the clients read them."""


def closed_hub() -> str:
    """Why nothing can be fetched from the Hub, for a message; "" where it answers."""
    name = offline_variable()
    return f"{name} is set" if name else unreachable_hub()


def offline_variable() -> str:
    """The variable that forbids asking the Hub; "" where none does."""
    return next((name for name in OFFLINE if os.environ.get(name, "").upper() in _TRUE), "")


def unreachable_hub() -> str:
    """That the Hub cannot be reached, and why; "" where it answers, be it with a refusal.

    It is asked once, for `SECONDS` at most.
    """
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    found: list[str] = []
    asking = threading.Thread(target=lambda: found.append(_fault(hub)), daemon=True)
    asking.start()
    asking.join(SECONDS + 0.25)  # the look-up of a name has no time limit of its own
    fault = found[0] if found else f"no answer in {SECONDS:g} s"
    return f"{hub} cannot be reached ({fault})" if fault else ""


def _fault(hub: str) -> str:
    """Why the Hub does not answer; empty where it does."""
    try:
        request = urllib.request.Request(hub, method="HEAD")  # noqa: S310  # the user's own endpoint
        with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
            return ""
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        # A host answered. Whether to trust it is for the client to say, which brings certificates of its own.
        return "" if isinstance(reason, ssl.SSLCertVerificationError) else str(reason)
