"""How much each source sentence resembles the target: the three weights of cross-domain learning (He & Sun 2017).

Each function first gives a raw similarity r >= 0, larger for sentences that are more like the target. He & Sun scale
theirs by a constant C; here ``w = min(1, C r)``, with the one C for which the weights have a given mean over the
source. So the three differ in what they prefer and never in how much source they let in (a rival scaled to a maximum
of 1 trains on nearly everything under a cosine and on little under a likelihood ratio), an outlier cannot press all
others down, and a mean of 1 is joint training. Where nothing tells sentences apart, each gets the mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from transfuse.text import ConfigError, DataError

__all__ = ["cross_entropy_difference", "gaussian", "polynomial"]

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

MEAN = 0.5
"""Of the weights, unless another is asked for."""

_BOUNDARY, _UNKNOWN = 0, 1
_KNOWN_FROM = 2  # occurrences in the target
_NOTHING = 1e-200  # of the largest similarity: too little for any C to make up for


def cross_entropy_difference(
    source: Sequence[Sequence[str]], target: Sequence[Sequence[str]], *, mean: float = MEAN
) -> Floats:
    """Weights by the cross-entropy difference of two language models (Moore & Lewis 2010).

    ``r = exp(H_source(s) - H_target(s))``, cross-entropies in nats a word, the sentence's end counting as one: by what
    factor a word is likelier under the target's model. As in the paper, both models know the words that the target has
    at least twice, all others being one unknown word, and the source's model is trained on no more sentences than the
    target's. A model that has seen a sentence finds it too likely, so each source sentence is scored by a model of the
    other half (odd or even places). Models are bigrams interpolated with unigrams and these with a uniform
    distribution, weighted as Witten & Bell (1991) do.

    Args:
        source: ``[n]`` sentences of words.
        target: ``[m]`` sentences.
        mean: of the weights, above 0 and at most 1.

    Returns:
        ``[n]`` weights in [0, 1].

    Raises:
        ConfigError: the mean is out of range.
        DataError: the target has no sentence.
    """
    _some(len(target))
    known = _vocabulary(target)
    size = len(known) + 2
    there, here = _Text(target, known), _Text(source, known)
    target_entropy = _Bigrams(there, size).entropy(here)
    source_entropy = np.empty_like(target_entropy)
    for half in (0, 1):
        other = source[1 - half :: 2]
        thinned = [
            other[i] for i in np.linspace(0, len(other), min(len(other), len(target)), endpoint=False, dtype=int)
        ]
        model = _Bigrams(_Text(thinned, known), size)
        source_entropy[half::2] = model.entropy(_Text(source[half::2], known))
    return _scaled(np.exp(source_entropy - target_entropy), mean)


def gaussian(source: Floats, target: Floats, *, mean: float = MEAN) -> Floats:
    """Weights by a Gaussian of the distance to the target's mean vector (He & Sun 2017).

    ``r = exp(-d^2 / (2 s))``, s being the median of d^2 over the source, or its mean where the median is 0.

    Args:
        source: ``[n, width]`` a vector a sentence, such as the mean of its words' vectors.
        target: ``[m, width]``.
        mean: of the weights, above 0 and at most 1.

    Returns:
        ``[n]`` weights in [0, 1].

    Raises:
        ConfigError: the mean is out of range.
        DataError: the target has no sentence.
    """
    _some(len(target))
    source, target = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    squared = np.square(source - target.mean(0)).sum(1)
    width = (np.median(squared) or squared.mean() or 1.0) if len(squared) else 1.0
    return _scaled(np.exp(-squared / (2 * width)), mean)


def polynomial(source: Floats, target: Floats, *, degree: int = 2, mean: float = MEAN) -> Floats:
    """Weights by a power of the cosine to the target's mean vector (He & Sun 2017).

    ``r = max(0, cos)^degree``; a vector of zeros has cosine 0.

    Args:
        source: ``[n, width]`` a vector a sentence, such as the mean of its words' vectors.
        target: ``[m, width]``.
        degree: at least 1; the higher, the more the nearest are preferred.
        mean: of the weights, above 0 and at most 1; they have a lower one where fewer sentences than that have r > 0.

    Returns:
        ``[n]`` weights in [0, 1].

    Raises:
        ConfigError: the mean or the degree is out of range.
        DataError: the target has no sentence.
    """
    if degree < 1:
        raise ConfigError(f"degree is at least 1, not {degree}")
    _some(len(target))
    source, target = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    centre = target.mean(0)
    lengths = np.linalg.norm(source, axis=1) * np.linalg.norm(centre)
    cosine = np.divide(source @ centre, lengths, out=np.zeros(len(source)), where=lengths > 0)
    return _scaled(cosine.clip(0, 1) ** degree, mean)


def _some(target: int) -> None:
    if not target:
        raise DataError("there is no target sentence to resemble")


def _scaled(raw: Floats, mean: float) -> Floats:
    """``min(1, C raw)`` with the C that gives the mean, or as near to it as the number of positive entries allows."""
    if not 0 < mean <= 1:
        raise ConfigError(f"the mean weight lies above 0 and is at most 1, not {mean}")
    if not raw.any():
        return np.full(len(raw), mean)
    raw = raw / raw.max()
    raw[raw < _NOTHING] = 0
    wanted = mean * len(raw)
    if np.count_nonzero(raw) <= wanted:
        return (raw > 0).astype(np.float64)
    # With the k largest capped at 1, the others share what is left; the first k that caps no more is the right one.
    largest = np.sort(raw)[::-1]
    rest = np.cumsum(largest[::-1])[::-1]
    capped = np.arange(len(raw))
    k = int(np.argmax((wanted - capped) * largest <= rest))
    scaled: Floats = np.minimum(1, (wanted - k) / rest[k] * raw)
    return scaled


def _vocabulary(target: Sequence[Sequence[str]]) -> dict[str, int]:
    """Ids, from 2, of the words that the target has often enough."""
    counts = Counter(chain.from_iterable(target))
    kept = sorted(word for word, count in counts.items() if count >= _KNOWN_FROM)
    return {word: i for i, word in enumerate(kept, start=_UNKNOWN + 1)}


class _Text:
    """Sentences as one row of ids, each followed by a boundary.

    Attributes:
        before: ``[tokens]`` the context: the id before, a boundary at a sentence's start.
        after: ``[tokens]`` what follows it, a boundary at the end.
        ends: ``[sentences]`` the place of each sentence's boundary.
    """

    def __init__(self, sentences: Sequence[Sequence[str]], known: dict[str, int]) -> None:
        ids = [i for words in sentences for i in (*(known.get(w, _UNKNOWN) for w in words), _BOUNDARY)]
        self.after: Ids = np.array(ids, dtype=np.int64)
        self.before: Ids = np.concatenate([[_BOUNDARY], self.after[:-1]]) if ids else self.after
        self.ends: Ids = np.flatnonzero(self.after == _BOUNDARY)


class _Bigrams:
    """``P(w|v) = (c(v w) + T(v) P(w)) / (c(v) + T(v))`` and ``P(w) = (c(w) + T / size) / (N + T)``.

    T(v) is how many different words follow v, and T how many there are at all (Witten & Bell 1991).
    """

    def __init__(self, text: _Text, size: int) -> None:
        counts = np.bincount(text.after, minlength=size)
        kinds, total = np.count_nonzero(counts), counts.sum()
        self.unigram: Floats = (counts + kinds / size) / (total + kinds) if total else np.full(size, 1 / size)
        self.size = size
        self.pairs, self.pair_counts = np.unique(text.before * size + text.after, return_counts=True)
        self.followers = np.bincount(self.pairs // size, minlength=size)
        self.contexts = np.bincount(text.before, minlength=size)

    def probability(self, before: Ids, after: Ids) -> Floats:
        """``[tokens]`` of P(after | before); the unigram's where the context was never seen."""
        keys = before * self.size + after
        places = np.searchsorted(self.pairs, keys)
        places[places == len(self.pairs)] = 0
        counts = self.pair_counts[places] * (self.pairs[places] == keys) if len(self.pairs) else np.zeros(len(keys))
        spread = self.followers[before]
        seen = self.contexts[before] + spread
        bigram = (counts + spread * self.unigram[after]) / np.maximum(seen, 1)
        chance: Floats = np.where(seen > 0, bigram, self.unigram[after])
        return chance

    def entropy(self, text: _Text) -> Floats:
        """``[sentences]`` in nats a word."""
        surprise = np.concatenate([[0.0], np.cumsum(-np.log(self.probability(text.before, text.after)))])
        ends = np.concatenate([[0], text.ends + 1])
        entropy: Floats = np.diff(surprise[ends]) / np.diff(ends)
        return entropy
