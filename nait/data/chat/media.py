"""Images, video, audio and files inside messages and texts. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nait.data.chat.fences import without_code
from nait.data.field_names import ATTACHMENTS, MEDIA
from nait.data.row_errors import RowError, is_empty

PLACEHOLDER = "an image, video or audio placeholder, read as text"
NO_MEDIA = "Images, video and audio are not supported: remove such rows"
_KEYS = frozenset((*MEDIA, *ATTACHMENTS))
_KINDS = "image|img|video|audio|speech|sound"
_PLACEHOLDERS = re.compile(
    # A tag around a file: Qwen's <img>a.jpg</img>.
    rf"<(?P<tag>{_KINDS})>[^<>\n]{{1,2000}}</(?P=tag)>"
    # A tag at the start or the end of the text or of a line. With a closing tag it is markup.
    rf"|^[ \t]*<(?P<first>{_KINDS})>|<(?P<last>{_KINDS})>[ \t]*$|\[IMG\](?![^\[\n]{{1,2000}}\[/IMG\])"
    # A lone <image> anywhere: HTML has no such tag, but people write about one.
    r"|<(?P<lone>image)>(?!\s+(?:tag|element|node|field|token|placeholder|component)s?\b)"
    # Tokens that have no other use: <|image|>, <|image_1|>, <|vision_start|>, <image 1>, <image_placeholder>.
    rf"|<\|(?:{_KINDS}|vision|media)(?:_\w{{1,12}})?\|>|<(?:image|video|audio)[ _]?\d{{1,3}}>"
    r"|<(?:image|video|audio)_(?:placeholder|token|soft_token|pad)>|<(?:Image|Audio|Video)Here>|<__media__>"
    r"|<(?:start_of_image|im_patch|speech_start|audio_bos)>"
    # An image whose bytes are in the text.
    r"|!\[[^\]\n]{0,500}\]\(\s*<?data:(?:image|video|audio)/",
    re.MULTILINE | re.IGNORECASE,
)


def has_media_placeholder(text: str) -> bool:
    """Whether a text refers to an image, video or audio that is not in it; code in the text does not count."""
    if "<" not in text and "![" not in text and "[IMG" not in text:
        return False
    return _finds(text) and _finds(without_code(text))


def _finds(text: str) -> bool:
    for one in _PLACEHOLDERS.finditer(text):
        name = one["first"] or one["last"] or one["lone"]
        if name is None or f"</{name.casefold()}>" not in text.casefold():
            return True
    return False


def checked_media(text: str, column: str, at: str) -> str:
    """The text unchanged. Raises: RowError when it has an image, video or audio placeholder."""
    if has_media_placeholder(text):
        raise RowError("holds an image, video or audio placeholder", column=column, at=at, fix=NO_MEDIA)
    return text


def check_no_attachments(message: Mapping[str, Any], column: str, at: str) -> None:
    """Raises: RowError when a key of the message holds an image, video, audio or file."""
    if _KEYS.isdisjoint(message):
        return
    for key in message:
        if key in _KEYS and not is_absent(message[key]):
            raise RowError(
                "holds an image, video, audio or file",
                column=column,
                at=f"{at}.{key}",
                fix="Images, video, audio and files are not supported: remove such rows",
            )


def is_absent(value: object) -> bool:
    """Whether a value is empty, or holds empty values only, as Arrow writes an image that is missing."""
    if is_empty(value):
        return True
    if isinstance(value, (list, dict)):
        return all(is_absent(one) for one in (value.values() if isinstance(value, dict) else value))
    return False


def is_media_value(value: object) -> bool:
    """Whether a value is an encoded image, video or audio as `datasets` stores it, or a list of these."""
    if isinstance(value, list):
        return bool(value) and is_media_value(value[0])
    if not isinstance(value, dict):
        return False
    return isinstance(value.get("bytes"), bytes) or {"array", "sampling_rate"} <= value.keys()
