"""Fonts of figures: which family has the characters of a text, how broad they are, a warning where none has them."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

__all__ = ["breadth", "font_families", "warn_of_boxes"]

_CHINESE = ("Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Zen Hei", "SimHei", "Noto Sans CJK JP")


@cache
def font_families() -> list[str]:
    """Families to draw with, each for what those before it lack: one of the system, or the one that `cjk` installs."""
    from matplotlib.font_manager import fontManager, get_font_names

    installed = set(get_font_names())
    if not installed & set(_CHINESE):
        try:
            from noto_cjk_sans_otc import FONT_PATH
        except ModuleNotFoundError:
            return ["DejaVu Sans", "sans-serif"]
        fontManager.addfont(FONT_PATH)
        installed = set(get_font_names())
    return ["DejaVu Sans", *(font for font in _CHINESE if font in installed), "sans-serif"]


@contextmanager
def warn_of_boxes() -> Iterator[None]:
    """Tell once, in a line, that characters have no glyph: they are boxes in PNG files."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", message="Glyph .* missing from font")
        yield
    lacking = [each for each in caught if "missing from font" in str(each.message)]
    for each in caught:
        if each not in lacking:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    if lacking:
        _tell_of_boxes()


@cache
def _tell_of_boxes() -> None:
    warnings.warn(
        "no font at hand has all characters of the figures' text, so that PNG files show boxes: for Chinese, "
        'pip install "transfuse[cjk]"',
        stacklevel=2,
    )


def breadth(text: str) -> int:
    """In letters; a Chinese character is about as broad as two."""
    return sum(1 + (unicodedata.east_asian_width(each) in "WF") for each in text)
