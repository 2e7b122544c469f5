"""Frozen encoders whose states are kept, adapters, less memory, less precision: each against the plain computation."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers", reason="the extra 'transformers' is not installed")

from test_transformer import brief, layers, loaded, make, moved, states, task
from transfuse import bundle
from transfuse.architecture import Architecture, BiLSTMEncoder, TransformerEncoder
from transfuse.methods.target_only import TargetOnly
from transfuse.nn.kept import KeptStates
from transfuse.nn.transformer import Transformer
from transfuse.run import Run
from transfuse.text import DataError
from transfuse.train import Training
from transfuse.vectors import Vectors


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make(tmp_path_factory.mktemp("bert"), "bert")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "states"


def weights(folder: Path) -> bytes:
    return (folder / "weights.safetensors").read_bytes()


def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sentences each later call of a pre-trained model reads."""
    seen: list[int] = []
    real = Transformer._encode

    def counted(self: Transformer, forms: Any, places: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        seen.append(len(places))
        return real(self, forms, places, counts)

    monkeypatch.setattr(Transformer, "_encode", counted)
    return seen


def test_kept_states_change_no_bit_and_spare_the_model(
    bert: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = task()

    def ends(name: str) -> tuple[bytes, int]:
        seen = calls(monkeypatch)
        method = replace(brief(bert, frozen="all", dropout=0.2), training=Training(epochs=2, steps=6, rate=0.02))
        tagger = method.fit(learned, run=Run(tmp_path / name))
        before = len(seen)
        list(tagger.tag(learned.target.dev))
        assert len(seen) == before or name == "without"  # it was scored on them in each epoch
        bundle.save(tagger, tmp_path / name / "bundle")
        again = bundle.load(tmp_path / name / "bundle")
        found = [list(x.tag(learned.target.test, confidence=True)) for x in (tagger, again)]  # type: ignore[call-arg]
        assert found[0] == found[1]
        return weights(tmp_path / name / "bundle"), before

    first, read = ends("first")
    distinct = read
    assert len(list(cache.glob("*/*.safetensors"))) > 0
    assert ends("second") == (first, 0)
    shutil.rmtree(cache)
    monkeypatch.setattr(KeptStates, "get", lambda *_: None)
    without, read = ends("without")
    assert without == first
    assert read > 2 * distinct


def test_a_still_model_reads_as_it_was_pretrained(bert: str, cache: Path) -> None:
    plain, table = loaded(bert)
    still, _ = loaded(bert, frozen="all")
    still.train()
    assert not still.model.training
    sentences = [["fever"], ["after", "fever", "5"], ["fever", "after"] * 40]  # the last one in windows
    for _ in range(2):
        for one, other in zip(states(plain, table, sentences), states(still, table, sentences), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert still.kept is not None
    assert len(still.kept) == 3
    # weights, layers and window are told apart
    for how in ({"layers": 1}, {"window": 20}):
        other, _ = loaded(bert, frozen="all", **how)
        assert other.kept is not None
        assert len(other.kept) == 0


def test_kept_states_are_those_that_were_put(tmp_path: Path) -> None:
    kept = KeptStates(tmp_path / "one", most=4000)
    rows = {bytes([i]) * 32: torch.randn(i + 1, 8) for i in range(12)}
    for number, (key, value) in enumerate(rows.items()):
        kept.put(key, value)
        if number % 5 == 4:
            kept.flush()
    kept.put(b"x" * 32, torch.randn(99, 8))  # there is no more room
    assert kept.get(b"x" * 32) is None
    kept.flush()
    for store in (kept, KeptStates(tmp_path / "one")):
        assert len(store) == 12
        for key, value in rows.items():
            found = store.get(key)
            assert found is not None
            assert torch.equal(found, value)
    path = next((tmp_path / "one").glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="these kept states are damaged"):
        KeptStates(tmp_path / "one")


def test_beside_a_bilstm_states_are_kept_too(bert: str, cache: Path, tmp_path: Path) -> None:
    encoder = BiLSTMEncoder(hidden=8, transformer=TransformerEncoder(name=bert, frozen="all"))
    method = TargetOnly(Architecture(encoder), Training(epochs=1, steps=3, rate=0.02), Vectors(kind="none"))
    tagger: Any = method.fit(task(), run=Run(tmp_path / "run"))
    own = loaded(bert)[0]
    after = tagger.encoder.transformer
    assert not any(moved(a, b) for a, b in zip(layers(own).values(), layers(after).values(), strict=True))
    assert list(cache.glob("*/*.safetensors"))
