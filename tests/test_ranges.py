import math
from types import SimpleNamespace

import pytest

from transfuse import TransfuseError
from transfuse.ranges import check_ranges
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vectors import Vectors
from transfuse.train import Training


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        ("[0, 1)", (0, 0.5, 0.999), (-0.001, 1, math.nan, math.inf)),
        ("(0, 1]", (0.001, 1), (0, 1.001, math.nan)),
        ("[1, inf)", (1, 1e300), (0, -1, math.inf, math.nan)),
        ("(0, inf]", (5, math.inf), (0, math.nan)),
    ],
)
def test_intervals(interval: str, inside: tuple[float, ...], outside: tuple[float, ...]) -> None:
    for number in inside:
        check_ranges(
            SimpleNamespace(n=number, more=(number, number), none=None), n=interval, more=interval, none=interval
        )
    for number in outside:
        with pytest.raises(TransfuseError, match=r"table\.n (lies in|is)"):
            check_ranges(SimpleNamespace(n=number), "table", n=interval)
        with pytest.raises(TransfuseError):
            check_ranges(SimpleNamespace(n=(*inside, number)), n=interval)


BAD = {
    Training: {
        "epochs": 0,
        "steps": -1,
        "batch": 0,
        "words": 0,
        "rate": (0.0, -1.0, math.nan, math.inf),
        "warmup": (-0.1, 1.0, 2.0),
        "decay": (-1.0, math.nan),
        "clip": (0.0, -1.0, math.nan),
        "average": (-0.1, 1.0),
        "patience": -1,
    },
    BiLSTMEncoder: {
        "hidden": 0,
        "word_width": 0,
        "word_rate": (-1.0, math.nan),
        "char_width": 0,
        "char_filters": 0,
        "char_widths": ((), (0,), (2, -1)),
        "buckets": (1, -1),
        "feature_width": 0,
        "dropout": (1.0, -0.1),
        "recurrent_dropout": 1.0,
        "word_dropout": -1.0,
        "context_width": 0,
        "corpus_width": 0,
    },
    TransformerEncoder: {"layers": -1, "frozen": -1, "rate": (-1.0, math.nan), "dropout": 1.0, "window": 15},
    Vectors: {
        "width": 0,
        "window": 0,
        "epochs": 0,
        "negative": (0, -1),
        "count": 0,
        "rate": (0.0, -1.0, math.nan),
        "sample": (-1.0, math.nan),
        "seed": -1,
    },
}


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (kind, name, value)
        for kind, settings in BAD.items()
        for name, values in settings.items()
        for value in (values if isinstance(values, tuple) else (values,))
    ],
)
def test_settings_out_of_range(kind: type, name: str, value: object) -> None:
    with pytest.raises(TransfuseError, match=name):
        kind(**{name: value})
