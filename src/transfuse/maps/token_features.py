"""Words as rows of features, for maps that know arrays alone: hand-made names, or states of a frozen encoder."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from transfuse import tags as tagging
from transfuse.maps.adaptation import UNKNOWN
from transfuse.taggers.linear import SCHEME, Tokens, features
from transfuse.text import BundleError, ConfigError

if TYPE_CHECKING:
    from transfuse.taggers.mixed import AnyTable
    from transfuse.taggers.neural import NeuralTagger

__all__ = [
    "Extractor",
    "HandMade",
    "States",
    "count_words",
    "draw_sentences",
    "find_extractor",
    "load_extractor",
    "number_tags",
    "pivot_candidates",
    "positions",
]

_OFFSET = re.compile(r"(?P<pair>-1\|0|0\|1)=|(?P<step>-?\d)(?=w=|shape=|s3=|edge)")
_BATCH = 2_000  # words that an encoder reads together, at least one sentence


def count_words(items: Iterable[Tokens]) -> int:
    """In all sentences."""
    return sum(len(item.forms) for item in items)


def draw_sentences(items: Sequence[Tokens], tokens: int, *, seed: int) -> list[Tokens]:
    """Sentences, in their order, that hold at least so many words together; all for 0 or where there are no more."""
    if not tokens or count_words(items) <= tokens:
        return list(items)
    order = np.random.default_rng(seed).permutation(len(items))
    held = np.cumsum([len(items[i].forms) for i in order])
    return [items[i] for i in np.sort(order[: int(np.searchsorted(held, tokens)) + 1])]


def number_tags(items: Iterable[Tokens], labels: Sequence[str]) -> NDArray[np.int64]:
    """``[words]`` numbers of tags, 0 for the outside, `UNKNOWN` where nobody annotated."""
    numbers = {tag: number for number, tag in enumerate(tagging.tag_names(labels, SCHEME))}
    rows = ([UNKNOWN] * len(item.forms) if item.tags is None else [numbers[t] for t in item.tags] for item in items)
    return np.array([number for row in rows for number in row], dtype=np.int64)


def positions(name: str) -> frozenset[int]:
    """To which words a hand-made feature looks: 0 is the word itself, -1 the one before, 1 the one behind."""
    match = _OFFSET.match(name)
    if not match:
        return frozenset({0})
    if match["pair"]:
        return frozenset({-1, 0} if match["pair"] == "-1|0" else {0, 1})
    return frozenset({int(match["step"])})


def pivot_candidates(names: Sequence[str]) -> NDArray[np.int64]:
    """Columns that may become pivots: the word itself, the one before, the one behind (Blitzer et al. 2006)."""
    return np.array([i for i, name in enumerate(names) if name.startswith(("w=", "-1w=", "1w="))], dtype=np.int64)


class Extractor(Protocol):
    """Turns sentences into rows for a map and into attributes for a CRF."""

    kind: str

    def rows(self, sentences: Sequence[Sequence[str]]) -> Any:
        """``[words, width]`` over all sentences in order: an array or SciPy's CSR."""
        ...

    def attributes(self, sentences: Sequence[Sequence[str]]) -> list[list[dict[str, float]]]:
        """For each sentence, for each word, what a CRF may read, by name."""
        ...

    def save(self, folder: Path) -> dict[str, Any]:
        """Write into a folder; what `load_extractor` needs beside it is returned."""
        ...


@dataclass(frozen=True)
class HandMade:
    """The features of `transfuse.taggers.linear.features`, one column each.

    Attributes:
        names: of the columns; rows know nothing of other names.
        unit: rows of unit length (names without a column counted), else of zeros and ones.
    """

    names: tuple[str, ...]
    unit: bool = False

    kind = "hand-made"

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]], *, least: int = 2, unit: bool = False) -> HandMade:
        """Columns for the names that stand often enough in some sentences, sorted."""
        counts = Counter(name for forms in sentences for row in features(forms) for name in row)
        return cls(tuple(sorted(name for name, count in counts.items() if count >= least)), unit)

    @cached_property
    def columns(self) -> dict[str, int]:
        """By name."""
        return {name: column for column, name in enumerate(self.names)}

    def rows(self, sentences: Sequence[Sequence[str]]) -> Any:
        """See `Extractor.rows`; CSR."""
        columns = self.columns
        indices: list[int] = []
        ends, sizes = [0], []
        for forms in sentences:
            for row in features(forms):
                indices += [columns[name] for name in row if name in columns]
                ends.append(len(indices))
                sizes.append(len(row))
        values = np.ones(len(indices))
        if self.unit:
            values /= np.sqrt(np.repeat(np.array(sizes, dtype=np.float64), np.diff(ends)))
        return sparse.csr_matrix((values, indices, ends), shape=(len(sizes), len(self.names)))

    def attributes(self, sentences: Sequence[Sequence[str]]) -> list[list[dict[str, float]]]:
        """See `Extractor.attributes`; all names, with a column or without."""
        return [[dict.fromkeys(row, 1.0) for row in features(forms)] for forms in sentences]

    def save(self, folder: Path) -> dict[str, Any]:
        """See `Extractor.save`."""
        (folder / "features.json").write_text(json.dumps(self.names, ensure_ascii=False), encoding="utf-8")
        return {"kind": self.kind, "unit": self.unit}


class States:
    """The states of a trained encoder, which stays as it is.

    Args:
        tagger: whose encoder it is.
    """

    kind = "encoder"

    def __init__(self, tagger: NeuralTagger) -> None:
        self.tagger = tagger

    def rows(self, sentences: Sequence[Sequence[str]]) -> Any:
        """See `Extractor.rows`; ``[words, width]`` float64."""
        states = self._states(sentences)
        return np.concatenate(states) if states else np.zeros((0, self.tagger.encoder.width))

    def attributes(self, sentences: Sequence[Sequence[str]]) -> list[list[dict[str, float]]]:
        """See `Extractor.attributes`."""
        names = [f"state{i}" for i in range(self.tagger.encoder.width)]
        return [[dict(zip(names, row, strict=True)) for row in rows.tolist()] for rows in self._states(sentences)]

    def save(self, folder: Path) -> dict[str, Any]:
        """See `Extractor.save`; the whole encoder goes along."""
        return {"kind": self.kind, "tagger": self.tagger.save(folder)}

    def _states(self, sentences: Sequence[Sequence[str]]) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
        import torch

        from transfuse.taggers.neural import Sentence, collate

        encoder = self.tagger.encoder.eval()
        table = self.tagger.architecture.encoder.table(self.tagger.vocabulary, encoder)
        items = [Sentence(tuple(table.numbers(_spelt(table, forms))), (0,) * len(forms)) for forms in sentences]
        order = sorted(range(len(items)), key=lambda i: -len(items[i].forms))
        found: dict[int, np.ndarray[Any, np.dtype[np.float64]]] = {}
        while order:
            size = max(1, _BATCH // max(1, len(items[order[0]].forms)))
            group, order = order[:size], order[size:]
            with torch.no_grad():
                batch = collate([items[i] for i in group], table, self.tagger.tagset)
                states = encoder(batch.to(encoder.device)).double().cpu().numpy()
            found |= {i: states[place, : len(items[i].forms)] for place, i in enumerate(group)}
        return [found[i] for i in range(len(items))]


def _spelt(table: AnyTable, forms: Sequence[str]) -> list[str]:
    """Words as an encoder's table takes them, a blank between any two."""
    ends = np.cumsum([len(form) + 1 for form in forms]).tolist()
    offsets = [(end - 1 - len(form), end - 1) for form, end in zip(forms, ends, strict=True)]
    return table.spell(" ".join(forms), offsets)


def find_extractor(path: str) -> States:
    """The encoder of a trained tagger.

    Args:
        path: a bundle, or a run folder with one.

    Raises:
        BundleError: it is none.
        ConfigError: the tagger in it has no encoder.
    """
    from transfuse import bundle
    from transfuse.taggers.neural import NeuralTagger

    folder = Path(path)
    tagger = bundle.load(folder / "bundle" if (folder / "bundle").is_dir() else folder)
    if not isinstance(tagger, NeuralTagger):
        raise ConfigError(f"{path}: a {type(tagger).__name__} has no encoder whose states could be features")
    return States(tagger)


def load_extractor(folder: Path, config: dict[str, Any]) -> Extractor:
    """Read what `Extractor.save` wrote.

    Raises:
        BundleError: it is of an unknown kind, or its parts do not fit each other.
    """
    if config["kind"] == HandMade.kind:
        names = json.loads((folder / "features.json").read_text(encoding="utf-8"))
        return HandMade(tuple(names), bool(config["unit"]))
    if config["kind"] == States.kind:
        from transfuse.taggers.neural import NeuralTagger

        return States(NeuralTagger.load(folder, config["tagger"]))
    raise BundleError(f"{folder}: unknown kind of features {config['kind']!r}")
