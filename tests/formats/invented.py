"""Documents that hypothesis invents, as wide as a format can hold them."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from transfuse.text import Document, Entity

ANY = st.characters(exclude_categories=["Cs"])
"""Any character that is Unicode text."""

MEAN = st.sampled_from("a 0|\t\\\"'<&>{}[],:;-_\n\r\u0301\u200d\u00a0\u2028\u0085\u3000\ufeffβ中𝒳𠀋🧬é\u0000\x0b")
"""Characters that some format, line reader or offset unit stumbles over."""

LABELS = ("Gene", "Cell-type", "疾病", "a_b")


def texts(characters: st.SearchStrategy[str] = ANY | MEAN, max_size: int = 30) -> st.SearchStrategy[str]:
    """Texts of some characters."""
    return st.text(characters, max_size=max_size)


@st.composite
def entities(draw: st.DrawFn, text: str, labels: tuple[str, ...] = LABELS, *, scored: bool = False) -> list[Entity]:
    """Any mentions that a text can hold; they may nest and overlap."""
    if not text:
        return []
    spans = st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text)), st.sampled_from(labels))
    found = [span for span in draw(st.lists(spans, max_size=4, unique=True)) if span[0] < span[1]]
    scores = st.none() | st.floats(0, 1) if scored else st.none()
    return [Entity(*span, draw(scores)) for span in found]


@st.composite
def documents(
    draw: st.DrawFn,
    characters: st.SearchStrategy[str] = ANY | MEAN,
    *,
    ids: Callable[[int], str] = "doc-{}".format,
    scored: bool = False,
    unknown: bool = False,
) -> list[Document]:
    """A handful of documents, whose ids are given by their number."""
    found = []
    for number in range(draw(st.integers(1, 3))):
        text = draw(texts(characters))
        ranges = []
        if unknown and text:
            bounds = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))
            ranges = [pair for pair in draw(st.lists(bounds, max_size=2)) if pair[0] < pair[1]]
        found.append(Document(ids(number), text, tuple(draw(entities(text, scored=scored))), tuple(ranges)))
    return found
