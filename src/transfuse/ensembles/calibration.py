"""Confidences that can be believed: of spans with confidence 0.8 four in five are right.

A map from a tagger's confidence to what is true of it on annotated documents, by temperature (Guo et al. 2017, "On
calibration of modern neural networks", section 4.2; here on the log-odds of a span) or by isotonic regression (Zadrozny
& Elkan 2002), and how far off confidences are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from transfuse.text import ConfigError

__all__ = [
    "METHODS",
    "Bin",
    "Isotonic",
    "Map",
    "Temperature",
    "bins",
    "check_method",
    "expected_error",
    "fit_map",
    "load_map",
    "save_map",
]

_EDGE = 1e-6
"""Confidences nearer to 0 or 1 have the log-odds of this one."""

Numbers = NDArray[np.float64]


class Map(Protocol):
    """From confidences to calibrated ones; never turns the order of two round."""

    kind: ClassVar[str]

    def __call__(self, confidences: Numbers) -> Numbers:
        """``[n]`` in, ``[n]`` out, both in [0, 1]."""
        ...


@dataclass(frozen=True)
class Temperature:
    """Log-odds divided by a number.

    Attributes:
        temperature: above 0; above 1 it makes confidences less extreme.
    """

    kind: ClassVar[str] = "temperature"
    temperature: float

    def __call__(self, confidences: Numbers) -> Numbers:
        """See `Map`."""
        return np.asarray(1 / (1 + np.exp(-_log_odds(confidences) / self.temperature)))

    @classmethod
    def fit(cls, confidences: Numbers, right: NDArray[np.bool_]) -> Temperature:
        """The temperature in [0.02, 50] with the highest likelihood."""
        from scipy.optimize import minimize_scalar

        odds = np.where(right, 1, -1) * _log_odds(confidences)

        def loss(log_temperature: float) -> float:
            return float(np.logaddexp(0, -odds * np.exp(-log_temperature)).sum())

        found = minimize_scalar(loss, bounds=(-np.log(50), np.log(50)), method="bounded", options={"xatol": 1e-6})
        return cls(float(np.exp(found.x)))


@dataclass(frozen=True)
class Isotonic:
    """The rising steps that fit best, straight lines between them.

    Attributes:
        confidences: where the lines bend, rising.
        values: what they map to, never falling; beyond the ends they stay.
    """

    kind: ClassVar[str] = "isotonic"
    confidences: tuple[float, ...]
    values: tuple[float, ...]

    def __call__(self, confidences: Numbers) -> Numbers:
        """See `Map`."""
        return np.interp(confidences, self.confidences, self.values)

    @classmethod
    def fit(cls, confidences: Numbers, right: NDArray[np.bool_]) -> Isotonic:
        """Least squares, by scikit-learn."""
        from sklearn.isotonic import IsotonicRegression

        learned = IsotonicRegression(y_min=0, y_max=1).fit(confidences, right)
        return cls(tuple(learned.X_thresholds_.tolist()), tuple(learned.y_thresholds_.tolist()))


METHODS: Mapping[str, Any] = {kind.kind: kind for kind in (Temperature, Isotonic)}
"""The maps, by name."""


def _log_odds(confidences: Numbers) -> Numbers:
    clipped = np.clip(confidences, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(clipped / (1 - clipped)))


def check_method(method: str) -> None:
    """Raises ConfigError where there is no such method."""
    if method not in METHODS:
        raise ConfigError(f"unknown calibration {method!r}: choose one of {', '.join(METHODS)}")


def fit_map(method: str, confidences: Numbers, right: NDArray[np.bool_]) -> Map:
    """Learn a map.

    Args:
        method: one of `METHODS`.
        confidences: ``[n]`` of spans.
        right: ``[n]`` whether each is an entity of gold.

    Raises:
        ConfigError: there is no such method, or nothing to learn: all spans are right, all wrong, or equally sure.
    """
    check_method(method)
    if not len(right) or right.all() or not right.any():
        raise ConfigError(f"nothing to calibrate by: of {len(right)} spans {int(right.sum())} are right")
    if np.ptp(confidences) == 0:
        raise ConfigError(f"nothing to calibrate: every span has the confidence {confidences[0]:g}")
    learned: Map = METHODS[method].fit(confidences, right)
    return learned


def save_map(learned: Map) -> dict[str, Any]:
    """A map as JSON holds it."""
    return {"kind": learned.kind, **asdict(learned)}  # type: ignore[call-overload]


def load_map(config: Mapping[str, Any]) -> Map:
    """Read what `save_map` gave. Raises KeyError or TypeError where it is none."""
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items() if k != "kind"}
    learned: Map = METHODS[config["kind"]](**fields)
    return learned


@dataclass(frozen=True)
class Bin:
    """Spans of like confidence.

    Attributes:
        spans: how many.
        confidence: their mean confidence.
        right: the share of them that is right.
    """

    spans: int
    confidence: float
    right: float


def bins(confidences: Numbers, right: NDArray[np.bool_], *, number: int = 10) -> list[Bin]:
    """Spans in equal steps of confidence, from low to high; empty steps are left out."""
    place = np.minimum((confidences * number).astype(np.int64), number - 1)
    found = []
    for step in np.unique(place):
        here = place == step
        found.append(Bin(int(here.sum()), float(confidences[here].mean()), float(right[here].mean())))
    return found


def expected_error(parts: list[Bin]) -> float:
    """Expected calibration error: the mean distance of confidence and truth over bins, weighted by their spans.

    Naeini et al. 2015; in [0, 1]; 0 for no spans.
    """
    total = sum(part.spans for part in parts)
    return sum(part.spans * abs(part.confidence - part.right) for part in parts) / total if total else 0.0
