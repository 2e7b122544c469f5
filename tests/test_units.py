"""The CRF over pieces: against enumeration of piece paths, beside that over words, and put to work on texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

pytest.importorskip("transformers", reason="the extra 'transformers' is not installed")

from transformers import AutoModel

from by_heart import by_heart
from tiny import architecture, brief, loaded, states, task
from transfuse import bundle, methods
from transfuse.ensembles.votes import VoteTagger
from transfuse.experiments.recipe import make_recipe
from transfuse.explaining.odds import Network, Removal
from transfuse.lighter import to_int8
from transfuse.nn.head import CRFHead
from transfuse.nn.pieced import PieceHead
from transfuse.nn.transformer import Transformer
from transfuse.run import Run
from transfuse.taggers.architecture import Architecture, TagSet
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.encoding import Supervised, new_encoding
from transfuse.taggers.neural import NeuralTagger, read_sentences
from transfuse.taggers.reading import Piece, Reader, Reading, Window
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vectors import Vectors
from transfuse.tags import PREFIXES, decode, encode, legal, over_pieces, tag_names
from transfuse.text import ConfigError, Corpus, Document
from transfuse.train import Training
from transfuse.transfer.supervised import Domain, copy_head, first_states
from transfuse.words import words

UNITS = ("piece", "continuation")
HIDDEN = 3
SETS = (TagSet(("A",), "BIOES"), TagSet(("A", "B"), "BIO"), TagSet(("A", "B"), "IO"))


def fresh(unit: str, tagset: TagSet) -> CRFHead:
    """A head with random weights over states of three numbers a piece."""
    width = {"word": HIDDEN, "piece": 3 * HIDDEN + 1, "continuation": HIDDEN + 1}[unit]
    head = Architecture(TransformerEncoder(unit=unit), scheme=tagset.scheme).build_head(width, tagset)  # type: ignore[arg-type]
    assert isinstance(head, CRFHead)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=1.0)
    return head.double()


def of_words(unit: str, pieces: Sequence[Tensor]) -> Tensor:
    """``[1, words, width]`` what the encoder says of words, from ``[pieces, hidden]`` of each."""
    rows = []
    for own in pieces:
        more = own.new_tensor([len(own) - 1])
        last = own[-1] if len(own) > 1 else torch.zeros_like(own[0])
        all_parts = {"word": [], "piece": [own[1:-1].sum(0), last, more], "continuation": [more]}
        rows.append(torch.cat([own[0], *all_parts[unit]]))
    return torch.stack(rows)[None]


def paths(unit: str, tagset: TagSet, counts: Sequence[int]) -> Iterator[tuple[list[str], list[int], list[int]]]:
    """Every legal path over pieces whose mentions keep to word borders: the words' tags, and the pieces' rows."""
    names, starts = list(tagset.names), [sum(counts[:i]) for i in range(len(counts))]
    place = {start: word for word, start in enumerate(starts)}
    if unit == "continuation":
        begin, end, move = legal(names, tagset.scheme)
        for rows in product(range(len(names)), repeat=len(counts)):
            if begin[rows[0]] and end[rows[-1]] and all(move[a][b] for a, b in pairwise(rows)):
                path = [row if i == 0 else len(names) for row, n in zip(rows, counts, strict=True) for i in range(n)]
                yield [names[row] for row in rows], list(rows), path
        return
    begin, end, move = legal(names, tagset.scheme)
    for rows in product(range(len(names)), repeat=sum(counts)):
        if not (begin[rows[0]] and end[rows[-1]] and all(move[a][b] for a, b in pairwise(rows))):
            continue
        spans = decode([names[row] for row in rows], tagset.scheme)
        if all(a in place and (b in place or b == len(rows)) for a, b, _ in spans):
            held = [(place[a], place.get(b, len(counts)), label) for a, b, label in spans]
            told = encode(held, len(counts), tagset.scheme)
            yield told, [names.index(tag) for tag in told], list(rows)


def weigh(head: CRFHead, pieces: Sequence[Tensor], path: Sequence[int], beside: Tensor) -> Tensor:
    """The score of a path over pieces, as a CRF over pieces defines it; ``beside`` is of a further tag."""
    every = torch.cat(list(pieces))
    emissions = torch.cat([head.projection(every), beside[: len(every), None]], 1)
    crf = head.crf
    total = crf.start[path[0]] + crf.end[path[-1]] + sum(emissions[i, tag] for i, tag in enumerate(path))
    return total + sum(crf.transition[a, b] for a, b in pairwise(path))


sizes = st.lists(st.integers(1, 4), min_size=1, max_size=4).filter(lambda counts: sum(counts) <= 6)


@given(st.sampled_from(UNITS), st.sampled_from(SETS), sizes, st.integers(0, 99))
@settings(max_examples=40)
def test_the_crf_over_pieces_is_the_sum_over_their_paths(
    unit: str, tagset: TagSet, counts: list[int], seed: int
) -> None:
    torch.manual_seed(seed)
    head = fresh(unit, tagset)
    pieces = [torch.randn(n, HIDDEN, dtype=torch.float64) for n in counts]
    beside = torch.randn(8, dtype=torch.float64)  # that it cancels is part of what is shown
    found = list(paths(unit, tagset, counts))
    assert found
    assert len({tuple(rows) for _, rows, _ in found}) == len(found)  # words' tags tell all
    scores = torch.stack([weigh(head, pieces, path, beside) for *_, path in found])
    logs = scores - scores.logsumexp(0)
    given_, lengths = of_words(unit, pieces), torch.tensor([len(counts)])
    emissions = head.emissions(given_)
    lattice = head.lattice(emissions, lengths)

    for (_, rows, _), expected in zip(found, logs, strict=True):
        loss = head.loss(given_, lengths, tags=torch.tensor([rows]))
        torch.testing.assert_close(-loss[0], expected)
    gold = seed % len(found)
    parameters = list(head.parameters())
    with_paths = torch.autograd.grad(-logs[gold], parameters, retain_graph=True, materialize_grads=True)
    loss = head.loss(given_, lengths, tags=torch.tensor([found[gold][1]]))[0]
    own = torch.autograd.grad(loss, parameters, materialize_grads=True)
    for one, other in zip(own, with_paths, strict=True):
        torch.testing.assert_close(one, other)
    logs = logs.detach()
    best = max(range(len(found)), key=lambda i: float(logs[i]))
    assert head.decode(emissions, lengths)[0].tolist() == found[best][1]

    expected = torch.zeros(len(counts), len(tagset.names), dtype=torch.float64)
    for (_, rows, _), log in zip(found, logs, strict=True):
        expected[range(len(counts)), rows] += log.detach().exp()
    torch.testing.assert_close(lattice.marginals[0], expected)

    allowed = torch.rand(1, len(counts), len(tagset.names)) < 0.6
    allowed[0, range(len(counts)), found[0][1]] = True
    fitting = [log for (_, rows, _), log in zip(found, logs, strict=True) if allowed[0, range(len(counts)), rows].all()]
    partial = head.loss(given_, lengths, tags=torch.zeros(1, len(counts), dtype=torch.long), allowed=allowed)
    torch.testing.assert_close(-partial[0], torch.stack(fitting).logsumexp(0))

    reading = Reading(tagset, (Window(0, len(counts), found[best][1], lattice, 0),))
    if tagset.scheme != "IO":  # there a mention that ends is not told from one that goes on
        for span in {span for told, *_ in found for span in decode(told, tagset.scheme)}:
            holding = [log for (told, *_), log in zip(found, logs, strict=True) if span in decode(told, tagset.scheme)]
            assert reading.chance(span) == pytest.approx(float(torch.stack(holding).logsumexp(0).exp()))


@pytest.mark.parametrize("tagset", SETS)
def test_words_of_one_piece_are_the_same_in_all_units(tagset: TagSet) -> None:
    torch.manual_seed(1)
    plain = fresh("word", tagset)
    pieces = [torch.randn(1, HIDDEN, dtype=torch.float64) for _ in range(6)]
    length = torch.tensor([6])
    own = plain.emissions(of_words("word", pieces))
    gold = plain.decode(own, length)
    for unit in UNITS:
        head, number = fresh(unit, tagset), len(tagset.names)
        head.projection.load_state_dict(plain.projection.state_dict())
        with torch.no_grad():
            head.crf.start[:number] = plain.crf.start
            head.crf.end[:number] = plain.crf.end
            head.crf.transition[:number, :number] = plain.crf.transition
        given_ = of_words(unit, pieces)
        found = head.emissions(given_)
        assert torch.equal(head.decode(found, length), gold)
        torch.testing.assert_close(head.lattice(found, length).marginals, plain.lattice(own, length).marginals)
        torch.testing.assert_close(
            head.loss(given_, length, tags=gold), plain.loss(of_words("word", pieces), length, tags=gold)
        )


@given(st.sampled_from(list(PREFIXES)), st.data())
def test_tags_of_words_become_those_of_the_same_mentions_over_pieces(scheme: str, data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=8))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(counts)), min_size=2)) if len(counts) > 1 else {0, 1})
    labels = data.draw(st.lists(st.sampled_from(["", "A", "B"]), min_size=len(cuts), max_size=len(cuts)))
    spans = [(a, b, label) for (a, b), label in zip(pairwise(cuts), labels, strict=False) if label]
    names = list(tag_names(("A", "B"), scheme))
    parts = over_pieces(names, scheme)
    told = []
    for tag, count in zip(encode(spans, len(counts), scheme), counts, strict=True):
        first, middle, last = parts[names.index(tag)]
        told += [tag] if count == 1 else [names[first], *[names[middle]] * (count - 2), names[last]]
    starts = [sum(counts[:i]) for i in range(len(counts) + 1)]
    assert told == encode([(starts[a], starts[b], label) for a, b, label in spans], sum(counts), scheme)


def test_the_encoder_gives_what_the_library_says_of_the_pieces(family: str, made: dict[str, str]) -> None:
    sentence = ["fever", "in", "a", "aspirin", "x", "asymptomatic"]
    encoder, table = loaded(made[family])
    table.numbers(sentence)
    forms = table.forms()
    counts, heads = forms.counts.tolist(), forms.heads.tolist()
    marks, model = encoder.marks, AutoModel.from_pretrained(made[family]).eval()
    ids = [*marks.prefix, *(int(p) for i, n in enumerate(counts) for p in forms.pieces[i, :n]), *marks.suffix]
    how: dict[str, Tensor] = {}
    if family == "xlnet":
        kinds = [*marks.types[0], *[marks.types[1]] * sum(counts), *marks.types[2]]
        how = {"token_type_ids": torch.tensor([kinds])}
    with torch.no_grad():
        found = model(input_ids=torch.tensor([ids]), **how).last_hidden_state[0]
    ends = torch.tensor(counts).cumsum(0) + len(marks.prefix)
    own = [found[end - n + head : end] for end, n, head in zip(ends.tolist(), counts, heads, strict=True)]
    assert min(map(len, own)) == 1
    assert max(map(len, own)) > 4
    for unit in UNITS:
        encoder, table = loaded(made[family], unit=unit)
        expected = of_words(unit, own)[0]
        for company in ([], [["a"] * 20, ["in"]]):
            torch.testing.assert_close(states(encoder, table, [sentence, *company])[0], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("unit", UNITS)
def test_a_window_and_dropout_leave_the_parts_of_words_what_they_are(
    family: str, unit: str, made: dict[str, str]
) -> None:
    sentence = [*["fever", "after"] * 9, *"afexin" * 14, "aspirin"]
    plain, table = loaded(made[family], window=36)
    encoder, again = loaded(made[family], window=36, unit=unit)
    expected = states(plain, table, [sentence, ["in"]])
    found = states(encoder, again, [sentence, ["in"]])
    forms = table.forms()
    behind = forms.counts - forms.heads - 1
    for one, other, row in zip(found, expected, (sentence, ["in"]), strict=True):
        assert one.shape == (len(row), encoder.width)
        torch.testing.assert_close(one[:, : plain.width], other, atol=1e-4, rtol=1e-4)
        assert one[:, -1].tolist() == behind[torch.tensor(table.numbers(row))].tolist()
    encoder.train().share = 0.5
    (dropped,) = states(encoder, again, [sentence])
    assert (dropped[:, : plain.width] == 0).float().mean() > 0.3
    assert dropped[:, -1].tolist() == found[0][:, -1].tolist()


ODD = ["cafe\u0301 fever", "\U0001d49c aspirin", "a\u200bb fever", "fever\r\naspirin\x00x", "发热 咳嗽3天", "İİ ß"]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("kind", ["bert", "roberta", "xlnet"])
def test_it_learns_is_saved_and_tags_identically(kind: str, unit: str, made: dict[str, str], tmp_path: Path) -> None:
    learned = task()
    tagger = brief(made[kind], unit=unit).fit(learned, run=Run(tmp_path / "run", seed=1))
    assert isinstance(tagger, NeuralTagger)
    torch.nn.init.normal_(tagger.head.projection.weight, std=2)
    texts = [*learned.target.dev, *(Document(str(i), text) for i, text in enumerate(ODD)), Document("none", " ")]
    texts.append(Document("long", "fever after asymptomatic aspirin-5 " * 90))
    bundle.save(tagger, tmp_path / "bundle")
    again: Any = bundle.load(tmp_path / "bundle")
    assert again.architecture == tagger.architecture
    own = list(tagger.tag(texts, confidence=True))
    then = list(again.tag(texts, confidence=True))
    assert then == own
    assert [e.score for d in then for e in d.entities] == [e.score for d in own for e in d.entities]
    for document in own:
        edges = words(document.text)
        assert {e.start for e in document.entities} <= {start for start, _ in edges}
        assert {e.end for e in document.entities} <= {end for _, end in edges}
        # of a mention of hundreds of words, as random weights find them, nothing may be left
        for entity in document.entities:
            assert entity.score is not None
            assert 0 <= entity.score <= 1
            assert entity.score > 0 or entity.end - entity.start > 1000
    assert own[-1].entities[-1].end > len(texts[-1].text) - 100


@pytest.mark.parametrize("unit", UNITS)
def test_a_batch_is_learned_by_heart_and_part_of_its_tags_is(unit: str, made: dict[str, str], tmp_path: Path) -> None:
    learned = task()
    method = Supervised(architecture(made["bert"], unit=unit))
    encoding = new_encoding([learned.target], method, task=learned, run=Run(tmp_path))
    tagset = encoding.tagset((*learned.target.labels, "Unknown"))
    head = encoding.head(tagset)
    # what no annotator looked for may stand on any word outside: partial labels
    items = read_sentences(learned.target.train, encoding.table, tagset, annotated=learned.target.labels)
    assert any(item.open for item in items)
    losses = by_heart(encoding, head, tagset, items)
    assert losses[-1] < 0.6 * losses[0]


SHARING = [name for name in methods.names() if issubclass(methods.get(name), Supervised)]
SHARING.remove("multitask-variational")  # it takes no transformer
WORDS_ONLY = {"linear-projection", "domain-mask", "muct"}


@pytest.mark.parametrize(("name", "unit"), [*((n, "piece") for n in SHARING), ("retrain", "continuation")])
def test_every_method_works_or_says_why_not(name: str, unit: str, made: dict[str, str], tmp_path: Path) -> None:
    kind: Any = methods.get(name)
    training = Training(epochs=1, steps=2, rate=0.01, select="last")
    how: dict[str, Any] = {
        "source_training": training,
        "init": "source",
        "source_epochs": 0.2,
        "raw_epochs": 0.2,
        "rounds": 1,
    }
    how |= {"shared_training": training, "rates": (0.5,), "restarts": 2, "average": "scores"}
    method = kind(
        architecture=architecture(made["bert"], unit=unit),
        vectors=Vectors(kind="none"),
        training=training,
        **{key: value for key, value in how.items() if key in kind.__dataclass_fields__},
    )
    learned = task()
    if name in WORDS_ONLY:
        with pytest.raises(ConfigError, match=r'reads one state a word and goes with encoder\.unit = "word", not'):
            method.fit(learned, run=Run(tmp_path / "run"))
        return
    tagger = method.fit(learned, run=Run(tmp_path / "run", seed=2))
    bundle.save(tagger, tmp_path / "bundle")
    again = bundle.load(tmp_path / "bundle")
    assert list(again.tag(learned.target.dev)) == list(tagger.tag(learned.target.dev))


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_drawn_together_are_the_states_of_first_pieces(unit: str, made: dict[str, str], tmp_path: Path) -> None:
    learned = task()
    method = Supervised(architecture(made["bert"], unit=unit), vectors=Vectors(kind="none"))
    encoding = new_encoding([learned.target], method, task=learned, run=Run(tmp_path))
    head = encoding.head(encoding.tagset(learned.target.labels))
    assert isinstance(encoding.encoder, Transformer)
    width = encoding.encoder.model.config.hidden_size
    states = torch.randn(2, 3, encoding.encoder.width)
    torch.testing.assert_close(first_states(head, states), states[..., :width])


def untrained(name: str, unit: str, seed: int = 0) -> NeuralTagger:
    """A tagger with strong opinions."""
    settings = architecture(name, unit=unit)
    encoder, pieces, _ = settings.encoder.load()
    torch.manual_seed(seed)
    tagset = TagSet(("A", "B"), "BIOES")
    assert encoder is not None
    assert pieces is not None
    head = settings.build_head(encoder.width, tagset)
    torch.nn.init.normal_(head.projection.weight, std=1)
    return NeuralTagger(encoder.eval(), head, pieces, tagset, architecture=settings)


TEXT = "fever in a asymptomatic aspirin-5 x"


@pytest.mark.parametrize("unit", UNITS)
def test_what_an_explanation_explains_is_the_confidence(unit: str, made: dict[str, str]) -> None:
    tagger = untrained(made["bert"], unit)
    document, offsets = Document("d", TEXT), words(TEXT)
    reader = Reader(tagger.encoder, [tagger.head], tagger.vocabulary, tagger.tagset, tagger.architecture)
    reader.prepare()
    ((reading,),) = reader.read(reader.spell([document], [Piece(0, offsets)]), chances=True)
    torch.testing.assert_close(reading.marginals.sum(1), torch.ones(len(offsets), dtype=torch.float64))
    everywhere = torch.ones(1, len(offsets), dtype=torch.bool)
    spans = [(0, 1, "A"), (1, 4, "B"), (3, 5, "A"), (6, 8, "B"), *reading.spans]
    for span in spans:
        network = Network(tagger, document, offsets, span)
        chance = reading.chance(span)
        assert float(network(everywhere)[0].sigmoid()) == pytest.approx(chance, rel=1e-4)
        assert float(Removal(tagger, document, offsets, span)(everywhere)[0].sigmoid()) == pytest.approx(chance)
        inputs = network.inputs[None].clone().requires_grad_()
        (slope,) = torch.autograd.grad(network.value(inputs).sum(), inputs)
        assert slope.isfinite().all()
        assert bool(slope.any())


def test_taggers_of_all_units_vote_together(made: dict[str, str], tmp_path: Path) -> None:
    taggers = [untrained(made["bert"], unit, seed) for seed, unit in enumerate(("word", *UNITS))]
    readers = [Reader(t.encoder, [t.head], t.vocabulary, t.tagset, t.architecture) for t in taggers]
    texts = [Document("d", TEXT), Document("e", "aspirin\u00a0fever")]
    for rule in ("majority", "mean"):
        voting = VoteTagger(readers, ("A", "B"), kinds=[("crf",)] * 3, rule=rule)
        own = list(voting.tag(texts))
        bundle.save(voting, tmp_path / rule)
        assert list(bundle.load(tmp_path / rule).tag(texts)) == own
    to_int8(taggers[1])
    assert [d.id for d in taggers[1].tag(texts, confidence=True)] == ["d", "e"]


def test_states_are_kept_for_each_unit_apart(made: dict[str, str], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "cache"))
    found: dict[str, list[Document]] = {}
    for turn in range(2):
        for unit in ("word", *UNITS):
            tagger = brief(made["bert"], unit=unit, frozen="all").fit(task(), run=Run(tmp_path / f"{unit}{turn}"))
            got = list(tagger.tag([Document("d", TEXT)]))
            assert found.setdefault(unit, got) == got
    assert len(list((tmp_path / "cache" / "states").iterdir())) == 3


def test_rows_of_the_further_tag_are_copied_too(made: dict[str, str]) -> None:
    settings = architecture(made["bert"], unit="continuation")
    ours, theirs = TagSet(("A", "B")), TagSet(("C", "B"))
    one, two = settings.build_head(5, ours), settings.build_head(5, theirs)
    assert isinstance(one, PieceHead)
    assert isinstance(two, PieceHead)
    torch.nn.init.normal_(one.crf.end)
    corpus = Corpus("c", {}, ())
    copy_head(Domain(corpus, one, ours, ()), Domain(corpus, two, theirs, ()), ("projection", "crf"))
    assert two.crf.end[-1] == one.crf.end[-1]
    row = {name: (ours.names.index(name), theirs.names.index(name)) for name in ("O", "B-B", "E-B")}
    for a, b in row.values():
        assert two.crf.transition[b, -1] == one.crf.transition[a, -1]
        assert two.crf.transition[-1, b] == one.crf.transition[-1, a]
    assert two.crf.transition[-1, theirs.names.index("B-C")] != one.crf.transition[-1, ours.names.index("B-A")]


def test_what_is_refused(made: dict[str, str]) -> None:
    for head in ("softmax", "mlp"):
        with pytest.raises(ConfigError, match=f'head = "{head}" reads one state a word and goes with encoder.unit'):
            replace(architecture(made["bert"], unit="piece"), head=head)
    with pytest.raises(ConfigError, match=r"encoder\.transformer\.unit: the BiLSTM over it gives one state a word"):
        BiLSTMEncoder(transformer=TransformerEncoder(unit="piece"))
    BiLSTMEncoder(transformer=TransformerEncoder(unit="word"))


def test_recipes_name_the_unit_and_keep_their_hash(made: dict[str, str]) -> None:
    def recipe(**encoder: Any) -> Any:
        table = {"kind": "transformer", "name": made["bert"], **encoder}
        method = {"name": "target-only", "architecture": {"encoder": table}}
        return make_recipe({"data": {"target": "demo-cardiology"}, "method": method})

    assert "unit" not in recipe().to_dict()["method"]["architecture"]["encoder"]
    assert recipe(unit="word").hash == recipe().hash
    hashes = {recipe(unit=unit).hash for unit in ("word", *UNITS)}
    assert len(hashes) == 3
    assert make_recipe(recipe(unit="piece").to_dict()) == recipe(unit="piece")
    with pytest.raises(ConfigError, match=r"architecture\.encoder\.unit: Input should be 'word', 'piece'"):
        recipe(unit="letter")
