"""Bundles: whole or not at all, and refused with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from transfuse import bundle
from transfuse.synthetic import department
from transfuse.taggers.linear import LinearCRF, LinearTagger, train_linear
from transfuse.text import BundleError, DataError


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> LinearTagger:
    corpus = department("cardiology", documents=20)
    folder = tmp_path_factory.mktemp("model")
    return train_linear(corpus.train, corpus.labels, settings=LinearCRF(c1=0.1, c2=0.1, iterations=20), folder=folder)


@pytest.fixture
def saved(tagger: LinearTagger, tmp_path: Path) -> Path:
    bundle.save(tagger, tmp_path / "bundle", card="# A card\n", facts={"seed": 3})
    return tmp_path / "bundle"


def change(folder: Path, how: Callable[[dict[str, object]], object]) -> None:
    path = folder / "bundle.json"
    data = json.loads(path.read_text())
    how(data)
    path.write_text(json.dumps(data | {"seal": bundle._seal(data)}))


def test_it_comes_back(saved: Path, tagger: LinearTagger) -> None:
    documents = department("cardiology", documents=20, seed=9).test
    assert list(bundle.load(saved).tag(documents)) == list(tagger.tag(documents))
    assert bundle.describe(saved)["facts"] == {"seed": 3}
    assert (saved / "README.md").read_text() == "# A card\n"


def test_altered_bytes(saved: Path) -> None:
    path = saved / "model.crfsuite"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=r"model\.crfsuite: altered"):
        bundle.load(saved)


@pytest.mark.parametrize(
    ("old", "new"), [("Problem", "Probleme"), ('"seed": 3', '"seed": 4'), ('"config": {', '"config": {"x": 1, ')]
)
def test_altered_settings(saved: Path, old: str, new: str) -> None:
    path = saved / "bundle.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(BundleError, match=r"bundle\.json: altered"):
        bundle.load(saved)


def test_another_version(saved: Path) -> None:
    change(saved, lambda data: data.update(version=99))
    with pytest.raises(BundleError, match="bundle format 99; this version of transfuse reads 2"):
        bundle.load(saved)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/b", "..", "bundle.json"])
def test_unsafe_path(saved: Path, name: str) -> None:
    change(saved, lambda data: data["files"].update({name: {"bytes": 0, "sha256": ""}}))  # type: ignore[attr-defined]
    with pytest.raises(BundleError, match="unsafe file name"):
        bundle.load(saved)


def test_a_link_in_place_of_a_file(saved: Path, tmp_path: Path) -> None:
    path = saved / "model.crfsuite"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="no plain file"):
        bundle.load(saved)


def test_unknown_kind_and_no_bundle_and_no_json(saved: Path, tmp_path: Path) -> None:
    change(saved, lambda data: data.update(kind="pickle"))
    with pytest.raises(BundleError, match="unknown kind of tagger 'pickle'"):
        bundle.load(saved)
    with pytest.raises(BundleError, match="not a bundle"):
        bundle.load(tmp_path)
    (saved / "bundle.json").write_text("{")
    with pytest.raises(BundleError, match="malformed"):
        bundle.load(saved)


def test_a_failure_leaves_the_old_one(saved: Path, tagger: LinearTagger, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def fail(folder: Path) -> dict[str, object]:
        (folder / "half").write_text("written")
        raise OSError("disk full")

    monkeypatch.setattr(tagger, "save", fail)
    with pytest.raises(DataError, match="bundle: cannot be written: disk full"):
        bundle.save(tagger, saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert [path.name for path in saved.parent.iterdir()] == ["bundle"]


def test_what_cannot_be_saved() -> None:
    with pytest.raises(BundleError, match="cannot be saved"):
        bundle.save(object(), Path("nowhere"))  # type: ignore[arg-type]
