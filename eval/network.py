"""Whether the Hub can be reached, asked once: its own client tries for most of a minute."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request

from nait.core.errors import ConfigError

SECONDS = 4.0
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
"""Where one of these is set, only what was fetched before is read, and nothing is asked."""


def check_hub() -> None:
    """Raises: ConfigError when the Hub does not answer. An answer of any kind, a refusal too, is one."""
    if any(os.environ.get(name, "0") not in ("", "0") for name in OFFLINE):
        return
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    found: list[str] = []
    asking = threading.Thread(target=lambda: found.append(_refusal(hub)), daemon=True)
    asking.start()
    asking.join(SECONDS + 0.5)  # the look-up of a name has no time limit of its own
    refusal = found[0] if found else "no answer"
    if refusal:
        raise ConfigError(
            f"{hub} cannot be reached ({refusal})",
            where="eval.online=true",
            mend="Check the network, or read the benchmarks from a folder: eval.online=false eval.mirror=FOLDER.",
        )


def _refusal(hub: str) -> str:
    """Why the Hub does not answer; empty where it does."""
    try:
        request = urllib.request.Request(hub, method="HEAD")  # noqa: S310  # the user's own endpoint
        with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
            return ""
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
