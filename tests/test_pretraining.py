"""Masked language models: what is hidden, what is lost, what is read; and a killed run that ends in the same bytes."""

from __future__ import annotations

import contextlib
import json
import math
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

pytest.importorskip("transformers", reason="the extra 'transformers' is not installed")

from safetensors.torch import load_file

from tiny import FAMILIES, brief, loaded, make, states, task
from transfuse import bundle, cli, formats
from transfuse.data.task import resolve_target
from transfuse.encoders import pretrained
from transfuse.encoders.known import find
from transfuse.encoders.pieces import PieceTable
from transfuse.formats import parse_spec
from transfuse.mirror import digest
from transfuse.pretraining import pretrain as pretraining
from transfuse.pretraining.masked_words import WordModel
from transfuse.pretraining.masking import MaskedModel, Masking, PieceBatch, masking
from transfuse.pretraining.passages import Drawn, Passages, SplitText, cut_passages, join, plan
from transfuse.pretraining.pretrain import Pretraining, pretrain
from transfuse.run import Run
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vectors import WordVectors
from transfuse.taggers.vocabulary import normalise
from transfuse.text import ConfigError, Corpus, DataError, Document, TransfuseError
from transfuse.words import sentences, words

WORDS = "fever aspirin after asymptomatic rash cough in dose-5".split()  # noqa: SIM905

pytestmark = pytest.mark.filterwarnings("ignore:a word of")  # its tables read eight pieces of one


def sentence(draw: random.Random, longest: int = 9) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(draw.randint(1, longest))).capitalize() + ". "


def texts(number: int, seed: int = 0) -> list[Document]:
    """Repetitive: a word always has the same neighbours."""
    draw = random.Random(seed)
    found = []
    for i in range(number):
        start = draw.randrange(len(WORDS))
        found.append(Document(str(i), " ".join(WORDS[(start + j) % len(WORDS)] for j in range(12 + i % 7))))
    return list({document.text: document for document in found}.values())


@pytest.fixture
def notes(tmp_path: Path) -> str:
    path = tmp_path / "notes.txt"
    path.write_text("".join(f"{document.text}\n" for document in texts(60)))
    return f"txt[per=line]:{path}"


def model(name: str, length: int = 30) -> tuple[MaskedModel, Masking, PieceTable]:
    start = TransformerEncoder(name=name, dropout=0.0, window=length)
    encoder, pieces, _ = start.load()
    torch.manual_seed(1)
    network = MaskedModel(encoder, torch.ones(3))
    torch.nn.init.normal_(network.dense.weight)
    torch.nn.init.normal_(network.bias)
    return network.eval(), masking(pieces, 0.3), start.table(pieces, encoder)


def passages(network: MaskedModel, table: PieceTable) -> Passages:
    draw = random.Random(3)
    documents = [Document(str(i), "".join(sentence(draw) for _ in range(4))) for i in range(3)]
    return cut_passages(documents, table, network.encoder.capacity)


# The loss


def by_hand(
    network: MaskedModel, shown: torch.Tensor, lengths: torch.Tensor, told_by: torch.Tensor
) -> list[torch.Tensor]:
    """Scores of all pieces at all places of each passage, read alone and told step by step."""
    marks, found = network.encoder.marks, []
    for row, length in zip(shown, lengths.tolist(), strict=True):
        ids = torch.tensor([[*marks.prefix, *row[:length].tolist(), *marks.suffix]])
        kinds = torch.tensor([[*marks.types[0], *[marks.types[1]] * length, *marks.types[2]]])
        how = {"token_type_ids": kinds} if int(kinds.max()) else {}
        read = network.encoder.model(input_ids=ids, **how).last_hidden_state[0, len(marks.prefix) :][:length]
        dense = read @ network.dense.weight.T + network.dense.bias
        curved = dense * 0.5 * (1 + torch.erf(dense / math.sqrt(2)))
        centred = curved - curved.mean(1, keepdim=True)
        normal = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
        found.append((normal * network.norm.weight + network.norm.bias) @ told_by.T + network.bias)
    return found


def test_the_loss_is_that_of_all_places_read_one_by_one(family: str, made: dict[str, str]) -> None:
    network, hiding, table = model(made[family])
    text = passages(network, table)
    batch = text.batch(torch.arange(len(text)))
    shown, hidden = hiding(batch, torch.Generator().manual_seed(5))
    assert int(hidden.sum()) > 5
    expected = []
    for row, scores in enumerate(by_hand(network, shown, batch.lengths, network.embedding)):
        for place, chances in enumerate(functional.log_softmax(scores, 1)):
            if hidden[row, place]:
                expected.append(-chances[batch.pieces[row, place]])
    found = network.losses(batch, hiding, torch.Generator().manual_seed(5))
    torch.testing.assert_close(found, torch.stack(expected), atol=2e-4, rtol=1e-4)


def test_the_embedding_learns_by_what_it_reads_and_by_what_it_tells(family: str, made: dict[str, str]) -> None:
    network, hiding, table = model(made[family])
    batch = passages(network, table).batch(torch.arange(2))
    network.losses(batch, hiding, torch.Generator().manual_seed(5)).mean().backward()  # type: ignore[no-untyped-call]
    assert network.embedding.grad is not None
    both = network.embedding.grad.clone()
    network.zero_grad()
    apart = network.embedding.detach().clone().requires_grad_()
    shown, hidden = hiding(batch, torch.Generator().manual_seed(5))
    scores = torch.nn.utils.rnn.pad_sequence(by_hand(network, shown, batch.lengths, apart), batch_first=True)
    loss = functional.cross_entropy(scores[hidden], batch.pieces[hidden])
    loss.backward()  # type: ignore[no-untyped-call]
    assert network.embedding.grad is not None and apart.grad is not None
    assert float(network.embedding.grad.abs().max()) > 1e-4
    assert float(apart.grad.abs().max()) > 1e-4
    torch.testing.assert_close(both, network.embedding.grad + apart.grad, atol=1e-4, rtol=1e-3)


def vectors(path: Path) -> WordVectors:
    """Of all words but two, in a file."""
    known = [normalise(word) for word in WORDS[2:]]
    values = np.random.default_rng(5).normal(size=(len(known), 6)).astype("float16")
    made = WordVectors(tuple(known), values, {})
    made.save(path)
    return made


def test_whole_words_are_told_by_their_vectors_alone(
    family: str, made: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transfuse.pretraining.masked_words._COMMON", 1.0)
    _, hiding, table = model(made[family])
    given = vectors(tmp_path / "v.safetensors")
    rows = {word: row for row, word in enumerate(given.words, 1)}
    draw = random.Random(3)
    documents = [Document(str(i), "".join(sentence(draw) for _ in range(4))) for i in range(3)]
    start = TransformerEncoder(name=made[family], dropout=0.0, window=30)
    encoder, *_ = start.load()
    text = cut_passages(documents, table, encoder.capacity, vectors=rows)
    counts = torch.bincount(text.told[text.told > 0], minlength=len(rows) + 1)
    torch.manual_seed(2)
    network = WordModel(encoder, given.tensor(), counts).eval()
    torch.nn.init.normal_(network.bias)
    batch = text.batch(torch.arange(len(text)))
    shown, hidden = hiding(batch, torch.Generator().manual_seed(5))
    expected = []
    values = given.tensor()[1:].float()
    values /= values.norm(dim=1, keepdim=True)
    marks = encoder.marks
    for row, length in enumerate(batch.lengths.tolist()):
        ids = torch.tensor([[*marks.prefix, *shown[row, :length].tolist(), *marks.suffix]])
        kinds = torch.tensor([[*marks.types[0], *[marks.types[1]] * length, *marks.types[2]]])
        how = {"token_type_ids": kinds} if int(kinds.max()) else {}
        states = encoder.model(input_ids=ids, **how).last_hidden_state[0, len(marks.prefix) :]
        for place in range(length):
            if hidden[row, place] and batch.told[row, place]:
                asked = network.told_by(states[place])
                scores = 10 * values @ (asked / asked.norm()) + network.bias[1:]
                scores = scores.masked_fill(counts[1:] == 0, -torch.inf)  # what the text lacks is hardly ever drawn
                expected.append(-functional.log_softmax(scores, 0)[batch.told[row, place] - 1])
    assert len(expected) > 3
    found = network.losses(batch, hiding, torch.Generator().manual_seed(5))
    torch.testing.assert_close(found, torch.stack(expected), atol=2e-4, rtol=1e-4)
    losses = network.objective(batch, hiding)
    assert set(losses) == {"masked", "shown"} and all(float(loss.detach()) > 0 for loss in losses.values())
    sum(losses.values()).backward()  # type: ignore[union-attr, no-untyped-call]
    assert all(parameter.grad is not None for parameter in network.head)
    assert not {"vectors", "shares"} & {name for name, _ in network.named_parameters()}


@given(st.sampled_from(["bert", "roberta"]), st.lists(st.text(st.sampled_from("ab fever5-.Fe 5\n"), max_size=80)))
@settings(max_examples=40)
def test_a_words_first_piece_holds_its_vector(family: str, lines: list[str]) -> None:
    documents = [Document("x", line) for line in lines]
    rows = {"fever": 1, "a": 2, "0": 3}
    table = tables(family)
    table.most = 8
    found = cut_passages(documents, table, 20, vectors=rows)
    spelt = [d.text[a:b] for d in documents for s in sentences(d.text) for a, b in words(d.text, *s)]
    opens = [
        i == 0 or found.words[i] != found.words[i - 1] or i in set(found.bounds.tolist())
        for i in range(len(found.told))
    ]
    assert found.told[torch.tensor(opens, dtype=torch.bool)].tolist() == [rows.get(normalise(w), 0) for w in spelt]
    assert not found.told[~torch.tensor(opens, dtype=torch.bool)].any()


def test_the_head_begins_with_how_frequent_pieces_are(made: dict[str, str]) -> None:
    encoder, pieces, _ = TransformerEncoder(name=made["bert"]).load()
    network = MaskedModel(encoder, torch.tensor([3, 0, 7]))
    rows = len(network.embedding)
    assert rows > pieces.tokenizer.get_vocab_size()  # models are filled up
    expected = torch.tensor([4.0, 1.0, 8.0, *[1.0] * (rows - 3)]) / (10 + rows)
    torch.testing.assert_close(network.bias.softmax(0), expected)
    assert not {id(p) for p in network.head} & {id(p) for p in encoder.parameters()}
    assert {id(p) for p in network.head} | {id(p) for p in encoder.parameters()} == {
        id(p) for p in network.parameters()
    }


# What is hidden


def batch_of(counts: list[list[int]], first: int = 10) -> PieceBatch:
    """Passages of words with so many pieces each, all of them different."""
    rows = [[word for word, count in enumerate(row) for _ in range(count)] for row in counts]
    lengths = torch.tensor([len(row) for row in rows])
    belongs = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    found = (torch.arange(belongs.numel()) + first).view_as(belongs)
    return PieceBatch(found, belongs, torch.zeros_like(found), lengths)


ROWS = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=12), min_size=1, max_size=5)


@given(ROWS, st.floats(0.01, 0.9), st.integers(0, 99))
@settings(max_examples=100)
def test_whole_words_are_hidden_and_nothing_else_changes(counts: list[list[int]], share: float, seed: int) -> None:
    batch = batch_of(counts)
    hiding = Masking(share, 1, torch.tensor([2, 3, 4]))
    shown, hidden = hiding(batch, torch.Generator().manual_seed(seed))
    steps = torch.arange(hidden.shape[1]) < batch.lengths[:, None]
    assert bool(hidden.any())
    assert not bool((hidden & ~steps).any())
    assert torch.equal(shown[~hidden], batch.pieces[~hidden])
    for row, belongs in enumerate(batch.words):
        for word in range(len(counts[row])):
            places = steps[row] & (belongs == word)
            assert len(set(hidden[row, places].tolist())) == 1
            if hidden[row, places].all():
                masks, same = shown[row, places] == 1, shown[row, places] == batch.pieces[row, places]
                others = shown[row, places] < 5
                assert masks.all() or same.all() or (others & ~masks).all()


def test_shares_of_what_is_hidden_and_how_it_is_shown() -> None:
    draw = random.Random(1)
    batch = batch_of([[draw.randint(1, 4) for _ in range(80)] for _ in range(500)])
    hiding = Masking(0.15, 1, torch.tensor([2, 3, 4, 5]))
    shown, hidden = hiding(batch, torch.Generator().manual_seed(2))
    steps = torch.arange(hidden.shape[1]) < batch.lengths[:, None]
    assert float(hidden[steps].float().mean()) == pytest.approx(0.15, abs=0.006)
    told = shown[hidden]
    shares = [told == 1, (told > 1) & (told < 6), told == batch.pieces[hidden]]
    for share, expected in zip(shares, (0.8, 0.1, 0.1), strict=True):
        assert float(share.float().mean()) == pytest.approx(expected, abs=0.015)
    drawn = torch.bincount(told[shares[1]])[2:6] / shares[1].sum()
    torch.testing.assert_close(drawn, torch.full((4,), 0.25), atol=0.04, rtol=0)


def test_masks_come_from_the_generator_that_a_run_restores() -> None:
    batch, hiding = batch_of([[1, 2, 3] * 9] * 4), Masking(0.15, 1, torch.tensor([2, 3]))
    torch.manual_seed(4)
    state = torch.get_rng_state()
    first, second = hiding(batch), hiding(batch)
    torch.set_rng_state(state)
    assert torch.equal(hiding(batch)[0], first[0])
    assert not torch.equal(first[1], second[1])


def test_what_is_drawn_is_no_special_piece(family: str, made: dict[str, str]) -> None:
    _, pieces, _ = TransformerEncoder(name=made[family]).load()
    hiding = masking(pieces, 0.15)
    name = pieces.tokenizer.id_to_token
    assert name(hiding.mask) == "[MASK]"
    others = {name(piece) for piece in hiding.others.tolist()}
    assert others == set(pieces.tokenizer.get_vocab()) - {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}


# What is read

DOCUMENTS = st.lists(
    st.text(st.sampled_from("ab fever5-.\nFe\u200b发。  "), max_size=120).map(lambda text: Document("x", text)),
    max_size=5,
)


@given(st.sampled_from(["bert", "roberta", "deberta-v2"]), DOCUMENTS, st.integers(8, 40))
@settings(max_examples=60)
def test_passages_hold_every_piece_in_order(family: str, documents: list[Document], capacity: int) -> None:
    table = tables(family)
    table.most = 8
    found = cut_passages(documents, table, capacity)
    expected = []  # as a tagger spells them, sentence by sentence
    begin, count = [], []
    for document in documents:
        for place, (start, end) in enumerate(sentences(document.text)):
            forms = table.spell(document.text, words(document.text, start, end))
            cuts = [table._cut(str(form), getattr(form, "before", ""))[0] for form in forms]
            begin.append((place == 0, len(expected)))
            count.append(sum(map(len, cuts)))
            expected += [piece for cut in cuts for piece in cut]
    assert found.pieces.tolist() == expected
    bounds = found.bounds.tolist()
    assert bounds[0] == 0 and bounds[-1] == len(expected)
    assert all(0 < b - a <= capacity for a, b in pairwise(bounds))
    assert {at for first, at in begin if first} <= set(bounds)  # none runs from one document into the next
    opens = {at: first for first, at in begin}
    held = {at: size for (_, at), size in zip(begin, count, strict=True)}
    for a, b in pairwise(bounds):
        numbers = found.words[a:b].tolist()
        assert numbers[0] == 0 and all(y - x in (0, 1) for x, y in pairwise(numbers))
        if a in held:  # a whole sentence that would have fitted is never left to the next passage
            starts = [at for at in held if a <= at < b]
            assert len(starts) == 1 or all(at + held[at] <= b for at in starts)
            if held.get(b) and not opens[b]:
                assert b - a + held[b] > capacity


def tables(family: str, known: dict[str, PieceTable] = {}) -> PieceTable:  # noqa: B006
    if family not in known:
        tokenizer = FAMILIES[family][0]()
        known[family] = PieceTable(pretraining.Pieces(tokenizer, unknown=0, pad=1, left=False), most=8)
    return known[family]


def test_batches_and_joined_passages_are_the_same(made: dict[str, str]) -> None:
    table = tables("bert")
    documents = texts(9)
    whole = cut_passages(documents, table, 20)
    joined = join([cut_passages([document], table, 20) for document in documents])
    for name in ("pieces", "words", "told", "bounds"):
        assert torch.equal(getattr(whole, name), getattr(joined, name))
    numbers = torch.tensor([4, 0, 2])
    batch = whole.batch(numbers)
    for row, number in enumerate(numbers.tolist()):
        a, b = whole.bounds[number : number + 2].tolist()
        assert batch.lengths[row] == b - a
        assert batch.pieces[row, : b - a].tolist() == whole.pieces[a:b].tolist()
        assert batch.words[row, : b - a].tolist() == whole.words[a:b].tolist()
        assert not batch.pieces[row, b - a :].any() and not batch.words[row, b - a :].any()


@given(st.lists(st.integers(1, 30), min_size=1, max_size=300), st.integers(1, 9), st.integers(1, 60), st.booleans())
@settings(max_examples=100)
def test_every_passage_is_read_before_any_is_read_again(
    lengths: list[int], batch: int, wanted: int, by_pieces: bool
) -> None:
    sizes = torch.tensor(lengths)
    how: dict[str, int] = {"pieces": wanted * 20} if by_pieces else {"steps": wanted}
    steps = plan(sizes, batch, **how, seed=3)
    assert [step.tolist() for step in plan(sizes, batch, **how, seed=3)] == [step.tolist() for step in steps]
    assert all(1 <= len(step) <= batch for step in steps)
    read = [number for step in steps for number in step.tolist()]
    for start in range(0, len(read) - len(lengths), len(lengths)):
        assert sorted(read[start : start + len(lengths)]) == list(range(len(lengths)))
    if by_pieces:
        total = sum(lengths[number] for number in read)
        assert total >= wanted * 20 > total - sum(lengths[number] for number in steps[-1].tolist())
    else:
        assert len(steps) == wanted


def test_held_out_documents_are_not_learned(tmp_path: Path) -> None:
    documents = texts(60)
    odd = [Document("again", documents[3].text), Document("empty", " \n\u200b"), Document("none", "")]
    drawn = Drawn([*documents, *odd], seed=1)
    text = drawn.read(tables("bert"), 100, passages=10**6)
    told = text.facts["text"]
    assert told["documents"] == len(documents) + 3
    assert (told["empty"], told["repeated"]) == (2, 1)
    assert told["held_out"] == len(documents) // 20 == len(text.held)
    assert told["read"] == len(documents) - told["held_out"] == len(text.train)

    def rows(part: Passages) -> list[tuple[int, ...]]:
        return [tuple(part.pieces[a:b].tolist()) for a, b in pairwise(part.bounds.tolist())]

    whole = cut_passages(documents, tables("bert"), 100)
    assert sorted(rows(text.train) + rows(text.held)) == sorted(rows(whole))
    assert not set(rows(text.train)) & set(rows(text.held))
    text.save(tmp_path / "text")
    again = SplitText.load(tmp_path / "text")
    assert rows(again.train) == rows(text.train) and rows(again.held) == rows(text.held)
    assert again.facts == text.facts
    other, same = Drawn(documents, seed=2), Drawn(documents, seed=1)
    assert other.read(tables("bert"), 100, passages=9).facts != told
    assert same.read(tables("bert"), 100, passages=10**6).facts["text"]["sha256"] == told["sha256"]


def test_a_limit_draws_and_too_little_is_refused() -> None:
    documents = texts(60)
    assert Drawn(documents, limit=20).read(tables("bert"), 100, passages=10**6).facts["text"]["read"] == 19
    for few, said in ((documents[:1], "of 1 documents 1 can be read"), ([], "of 0 documents 0 can be read")):
        with pytest.raises(ConfigError, match=said):
            Drawn(few).read(tables("bert"), 100, passages=1)


def test_what_a_target_is_scored_on_is_not_read() -> None:
    documents = [Document(f"PMC{i}", f"{d.text} and so on and on {i}.") for i, d in enumerate(texts(40))]
    scored = [
        Document("PMC3", documents[3].text + " More"),
        Document("other", f"Nothing here.\n{documents[5].text}\nNor here."),
    ]
    seen = Document("PMC7", documents[7].text)
    target = Corpus("target", {"train": (seen,), "dev": (scored[0],), "test": (scored[1],)}, ("Disease",))
    text = Drawn(documents, [target, replace(target, name="again")]).read(tables("bert"), 100, passages=10**6)
    assert text.facts["text"]["removed"] == {"target": {"by_id": 1, "by_text": 1}, "again": {"by_id": 0, "by_text": 0}}
    assert text.facts["text"]["read"] + text.facts["text"]["held_out"] == len(documents) - 2


# Runs


def test_it_learns_and_its_encoder_is_one_like_any_other(
    family: str, made: dict[str, str], notes: str, tmp_path: Path
) -> None:
    how = Pretraining(made[family], (notes,), steps=25, batch=8, length=30, rate=0.003, mask=0.3)
    facts = pretrain(how, tmp_path / "run", checkpoint_seconds=0.1)
    before, after = (facts["held_out"][when] for when in ("before", "after"))
    assert after["loss"] < before["loss"] - 0.3
    assert after["perplexity"] == pytest.approx(math.exp(after["loss"]), rel=1e-3)
    assert facts["steps"] == 25 and facts["pieces"] > 1000
    assert facts["encoder"] == pretrained.load(made[family]).origin
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *("pretraining.toml", "environment.json", "records.jsonl", "result.json", "encoder", "done")
    }
    name = str(tmp_path / "run" / "encoder")
    (start, _), (encoder, _) = loaded(made[family]), loaded(name)
    assert encoder.marks == start.marks
    assert pretrained.load(name).origin["tokenizer"] == facts["encoder"]["tokenizer"]
    weights = load_file(tmp_path / "run" / "encoder" / "model.safetensors")
    for key, value in encoder.model.state_dict().items():
        assert torch.equal(value, weights[key])
    moved = [key for key, value in start.model.state_dict().items() if not torch.equal(value, weights[key])]
    assert len(moved) > 10
    tagger: Any = brief(name).fit(task(), run=Run(tmp_path / "tagger"))
    bundle.save(tagger, tmp_path / "bundle")
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            path.unlink()
    dev = task().target.dev
    assert list(bundle.load(tmp_path / "bundle").tag(dev)) == list(tagger.tag(dev))


def test_loaded_again_it_gives_the_same_states(
    family: str, made: dict[str, str], notes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[MaskedModel] = []
    write = pretraining._write_encoder

    def keep(network: MaskedModel, *rest: Any) -> None:
        kept.append(network)
        write(network, *rest)

    monkeypatch.setattr(pretraining, "_write_encoder", keep)
    pretrain(Pretraining(made[family], (notes,), steps=2, batch=4, length=30), tmp_path / "run")
    encoder, table = loaded(str(tmp_path / "run" / "encoder"), window=30)
    lines = [["fever", "after", "dose"], ["a"] * 12, ["rash"]]
    for one, other in zip(states(kept[0].encoder.eval(), table, lines), states(encoder, table, lines), strict=True):
        assert torch.equal(one, other)


HOW: dict[str, Any] = {"steps": 60, "batch": 8, "length": 30, "rate": 0.003}

CHILD = f"""
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from transfuse.pretraining.pretrain import Pretraining, pretrain
def watch(text, done):
    if done > 0.4:
        os.kill(os.getpid(), signal.SIGKILL)
pretrain(Pretraining(sys.argv[1], (sys.argv[2],), **{HOW}), Path(sys.argv[3]), watch=watch, checkpoint_seconds=0.01)
"""


def stopping(every: int) -> Callable[[str, float | None], None]:
    """Stops a run at every so many words on its progress."""
    calls = count(1)

    def stop(text: str, done: float | None) -> None:
        if next(calls) % every == 0:
            raise KeyboardInterrupt

    return stop


def test_killed_again_and_again_it_ends_in_the_same_bytes(made: dict[str, str], notes: str, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    child = subprocess.run([sys.executable, "-c", CHILD, made["bert"], notes, str(killed)], check=False)
    assert child.returncode == -signal.SIGKILL
    assert not (killed / "done").exists() and not (killed / "encoder").exists()
    stop = stopping(11)
    how = Pretraining(made["bert"], (notes,), **HOW)
    while not (killed / "done").exists():
        with contextlib.suppress(KeyboardInterrupt):
            ended = pretrain(how, killed, watch=stop, checkpoint_seconds=0)
    straight = pretrain(how, whole)
    assert len(Run(killed).records("resumed")) >= 3
    for path in (whole / "encoder").iterdir():
        assert path.read_bytes() == (killed / "encoder" / path.name).read_bytes(), path.name
    assert {**ended, "cpu_seconds": 0} == {**straight, "cpu_seconds": 0}


def test_with_vectors_it_learns_and_is_killed_likewise(made: dict[str, str], notes: str, tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    vectors(path)
    how = Pretraining(
        made["bert"], (notes,), steps=40, batch=8, length=30, rate=0.003, mask=0.3, vectors=str(path), precision="bf16"
    )
    stop = stopping(17)
    killed = tmp_path / "killed"
    while not (killed / "done").exists():
        with contextlib.suppress(KeyboardInterrupt):
            pretrain(how, killed, watch=stop, checkpoint_seconds=0)
    facts = pretrain(how, tmp_path / "whole")
    assert facts["held_out"]["after"]["loss"] < facts["held_out"]["before"]["loss"] - 0.3
    assert facts["vectors"] == {"file": "v.safetensors", "sha256": digest(path)}
    for part in (killed / "encoder").iterdir():
        assert part.read_bytes() == (tmp_path / "whole" / "encoder" / part.name).read_bytes(), part.name
    plain = pretrain(replace(how, vectors=None), tmp_path / "plain")
    assert "vectors" not in plain
    pretrain(replace(how, precision=None), tmp_path / "single")
    ours = load_file(killed / "encoder" / "model.safetensors")
    for name in ("plain", "single"):
        other = load_file(tmp_path / name / "encoder" / "model.safetensors")
        assert any(not torch.equal(other[key], ours[key]) for key in ours), name
    WordVectors(("ulcer",), np.ones((1, 6), "float16"), {}).save(path)
    with pytest.raises(ConfigError, match="no word of the text has a vector"):
        pretrain(how, tmp_path / "none")
    assert not (tmp_path / "none" / "encoder").exists()


def test_a_resumed_run_wants_the_encoder_it_began_with(
    made: dict[str, str], notes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    name = tmp_path / "mine"
    name.mkdir()
    make(name, "bert")
    how = Pretraining(str(name), (notes,), steps=3, batch=4, length=30)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pretraining, "fit", stop)
        pretrain(how, tmp_path / "run")
    weights = name / "model.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-4] + b"\0\0\x80\x3f")
    with pytest.raises(ConfigError, match=r"is no longer the encoder with which the run in .* began"):
        pretrain(how, tmp_path / "run")
    weights.write_bytes(kept)
    told = Run(tmp_path / "run").records("held_out")[0]["loss"]
    assert pretrain(how, tmp_path / "run")["held_out"]["before"]["loss"] == pytest.approx(told, abs=1e-4)


def test_a_finished_run_on_text_that_has_changed_is_none(made: dict[str, str], notes: str, tmp_path: Path) -> None:
    how = Pretraining(made["bert"], (notes,), steps=2, batch=4, length=30)
    done = pretrain(how, tmp_path / "run")
    assert pretrain(how, tmp_path / "run") == done
    path = Path(parse_spec(notes)[2])
    path.write_text(path.read_text() + "one more line of another text\n")
    with pytest.raises(ConfigError, match=r"run was made of other files"):
        pretrain(how, tmp_path / "run")


def test_loss_on_held_out_text_depends_on_no_batch_and_is_told_where_it_is_none(
    made: dict[str, str], notes: str, tmp_path: Path
) -> None:
    how = Pretraining(made["bert"], (notes,), steps=1, length=30)
    before = [
        pretrain(replace(how, batch=batch), tmp_path / str(batch))["held_out"]["before"]["loss"] for batch in (1, 4, 16)
    ]
    assert len(set(before)) == 1
    with pytest.raises(TransfuseError, match=r"loss .*: lower"):
        pretrain(replace(how, rate=1e5, steps=40), tmp_path / "diverged")
    assert not (tmp_path / "diverged" / "encoder").exists()


def test_training_texts_of_a_corpus_are_read_and_no_others(made: dict[str, str], tmp_path: Path) -> None:
    how = Pretraining(
        made["bert"], corpora=("demo-cardiology",), apart=("demo-cardiology",), steps=1, batch=2, length=30
    )
    facts = pretrain(how, tmp_path / "run")
    target = resolve_target("demo-cardiology")
    assert facts["text"]["documents"] == len(target.train)
    assert set(facts["text"]["removed"]) == {"demo-cardiology"}


# The command line


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as status:
        cli.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return int(status.value.code or 0), said.out, said.err


def test_on_the_command_line(
    made: dict[str, str], notes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    how = ["pretrain", made["bert"], "--text", notes, "--batch", 4, "--length", 30, "--pieces", 900, "--out", run]
    status, out, _ = call(capsys, *how, "--apart", "demo-cardiology")
    assert status == 0
    assert "nats a hidden piece" in out and "demo-cardiology: 0 documents taken out" in out
    assert out.endswith(f"encoder: {run / 'encoder'}\n")
    status, out, err = call(capsys, *how, "--apart", "demo-cardiology", "--json")
    assert "nothing was run again" in err
    facts = json.loads(out)
    assert facts["pieces"] >= 900 > facts["pieces"] - 4 * 28
    status, _, err = call(capsys, *how)
    assert status == 2
    assert err == f"error: {run} holds a run with other settings: choose another --out, or delete it\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--text", "nowhere.txt"], "nowhere.txt: no such file or folder"),
        (["--text", "empty.txt"], "of 1 documents 0 can be read, and two are needed"),
        ([], "there is nothing to read: name a text or a corpus"),
        (["--corpus", "demo-nobody"], "no built-in corpus 'demo-nobody'"),
        (["--text", "some.txt", "--apart", "nothing"], "no registered corpus and no path is called 'nothing'"),
        (["--text", "some.txt", "--mask", "1"], "mask lies in (0, 1), not 1"),
        (["--text", "some.txt", "--length", "4"], "length is at least 16, not 4"),
        (["--text", "some.txt", "--steps", "0"], "steps is at least 1, not 0"),
        (["--text", "some.txt", "--vectors", "none.bin"], "none.bin: no such file of word vectors"),
        (["--text", "some.txt", "--precision", "int8"], "precision is bf16 or left out, not int8"),
        (["--text", "some.txt", "--device", "abacus"], "--device abacus"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_one_line(
    made: dict[str, str],
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text(" \n")
    Path("some.txt").write_text("fever")
    status, out, err = call(capsys, "pretrain", made["bert"], "--out", "run", *arguments)
    assert (status, out) == (2, "")
    told = [line for line in err.splitlines() if line.startswith("error:")]
    assert len(told) == 1 and said in told[0] and "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.txt", "some.txt"]


def test_encoders_and_folders_that_are_none(
    made: dict[str, str], notes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"holds no config\.json"):
        pretrain(Pretraining(str(tmp_path), (notes,)), tmp_path / "run")
    no_mask = tmp_path / "no-mask"
    no_mask.mkdir()
    make(no_mask, "bert")
    for path in no_mask.glob("tokenizer*"):
        path.write_text(path.read_text().replace("[MASK]", "[GONE]"))
    with pytest.raises(ConfigError, match="has no piece for what is masked"):
        pretrain(Pretraining(str(no_mask), (notes,)), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("x")
    with pytest.raises(ConfigError, match="holds files and no pre-training"):
        pretrain(Pretraining(made["bert"], (notes,)), mine)
    with pytest.raises(DataError, match="cannot be a run folder"):
        pretrain(Pretraining(made["bert"], (notes,)), mine / "thesis.txt")
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]
    assert formats.parse_spec(notes)[0] == "txt"


def test_of_a_run_the_encoder_in_it_is_named(made: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(made["bert"], tmp_path / "run" / "encoder")
    with pytest.raises(ConfigError, match=r"run holds no config\.json, so it is no encoder; .*run/encoder is one"):
        find(str(tmp_path / "run"))
