"""Explanations: log-odds against all tag paths, attributions against sums and enumerations, pages, errors, refusals."""

from __future__ import annotations

import html
import itertools
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from transfuse import bundle, cli, formats
from transfuse.encoders.pieces import Pieces
from transfuse.ensembles.votes import VoteTagger
from transfuse.explaining.explanations import Case, Explanation, Word, explanations_html, explanations_json
from transfuse.explaining.odds import STAND_IN, Network, Removal, _altered
from transfuse.explaining.paths import path_scores, span_log_odds
from transfuse.gazetteer import Gazetteer
from transfuse.maps.mapped import Reader as MappedReader
from transfuse.maps.mapped import train_mapped
from transfuse.maps.token_features import HandMade
from transfuse.nn.transformer import Transformer
from transfuse.synthetic import department
from transfuse.taggers.architecture import Architecture, TagSet
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.linear import LinearCRF, LinearModel, LinearTagger, features, read_tokens
from transfuse.taggers.neural import NeuralTagger
from transfuse.taggers.reading import Reader, pieces
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vocabulary import Vocabulary
from transfuse.text import ConfigError, Document, Entity, LabelError, SpanError, Tagger
from transfuse.words import sentences, words

pytest.importorskip("captum", reason="the extra 'explain' is not installed")

from transfuse.explaining.attribution import integrated_gradients, lime, shapley
from transfuse.explaining.explain import Explaining, explain, explain_errors, explain_text

LABELS = ("Chemical", "Disease")
TEXT = "fever after 12 aspirin - xyz"
SPANS = [(first, last, label) for first, last in itertools.combinations(range(7), 2) for label in LABELS]
DOCUMENT = Document("d", TEXT)
NOTES = department("cardiology", documents=24)


def make(seed: int = 0, scheme: str = "BIOES", head: str = "crf", labels: tuple[str, ...] = LABELS) -> NeuralTagger:
    """An untrained tagger with strong opinions."""
    torch.manual_seed(seed)
    architecture = Architecture(BiLSTMEncoder(hidden=6, word_width=5, char_filters=3), head, scheme)  # type: ignore[arg-type]
    vocabulary = Vocabulary.of((), ["fever", "fever", "after", "aspirin", "-", "12"] * 3, buckets=0)
    encoder = architecture.encoder.build(vocabulary, torch.zeros(1, 0))  # type: ignore[union-attr,call-arg,arg-type]
    tagset = TagSet(labels, scheme)
    layer = architecture.build_head(encoder.width, tagset)
    torch.nn.init.normal_(layer.projection.weight, std=3)
    return NeuralTagger(encoder, layer, vocabulary, tagset, architecture=architecture)


def offsets(document: Document) -> list[tuple[int, int]]:
    return pieces([document])[0].offsets


def chance(tagger: NeuralTagger, document: Document, span: tuple[int, int, str]) -> float:
    """What tagging calls the probability of a span."""
    reader = Reader(tagger.encoder, [tagger.head], tagger.vocabulary, tagger.tagset, tagger.architecture)
    reader.prepare()
    ((reading,),) = reader.read(reader.spell([document], pieces([document])), chances=True)
    return reading.chance(span)


# Log-odds


@given(st.data())
@settings(max_examples=40)
def test_log_odds_are_those_of_all_paths(data: st.DataObject) -> None:
    tags, words = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 5))
    draw = torch.Generator().manual_seed(data.draw(st.integers(0, 10**6)))
    scores = [torch.randn(shape, generator=draw, dtype=torch.float64) for shape in ((tags,), (tags,), (tags, tags))]
    scores[2][data.draw(st.integers(0, tags - 1)), data.draw(st.integers(0, tags - 1))] = -1e30  # an illegal move
    emissions = 2 * torch.randn(2, words, tags, generator=draw, dtype=torch.float64)
    first = data.draw(st.integers(0, words - 1))
    span = data.draw(st.lists(st.integers(0, tags - 1), min_size=1, max_size=words - first))
    ends = first + len(span) == words
    closed = None if ends else data.draw(st.lists(st.booleans(), min_size=tags, max_size=tags))
    found = span_log_odds(emissions, tuple(scores), first, span, closed)  # type: ignore[arg-type]
    for row in range(2):
        held = other = 0.0
        for path in itertools.product(range(tags), repeat=words):
            score = scores[0][path[0]] + scores[1][path[-1]]
            score = score + sum(emissions[row, t, tag] for t, tag in enumerate(path))
            score = score + sum(scores[2][a, b] for a, b in itertools.pairwise(path))
            inside = list(path[first : first + len(span)]) == span
            if inside and (closed is None or closed[path[first + len(span)]]):
                held += math.exp(score)
            else:
                other += math.exp(score)
        if held and other:
            assert found[row].item() == pytest.approx(math.log(held) - math.log(other), abs=1e-8)
        else:
            assert abs(found[row].item()) > 1e20


def test_log_odds_stay_exact_where_a_probability_is_1() -> None:
    # words that do not know of each other: the odds are those of three independent draws
    emissions = torch.tensor([[[60.0, 0, 0], [0, 70, 0], [0, 0, 80]]])
    zeros = torch.zeros(3, dtype=torch.float64)
    scores = (zeros, zeros, zeros.expand(3, 3))
    (found,) = span_log_odds(emissions, scores, 0, [0, 1, 2], None).tolist()
    wrong = [math.log(2) - high for high in (60, 70, 80)]
    assert found == pytest.approx(-math.log(sum(map(math.exp, wrong))), abs=1e-9)


def test_the_gradient_of_log_odds_is_right() -> None:
    torch.manual_seed(0)
    scores = (torch.randn(3).double(), torch.randn(3).double(), torch.randn(3, 3).double())
    emissions = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda e: span_log_odds(e, scores, 1, [1, 2], [True, False, True]), emissions)


@pytest.mark.parametrize("scheme", ["BIO", "BIOES", "IO"])
@pytest.mark.parametrize("head", ["crf", "softmax", "mlp"])
def test_a_network_is_as_sure_as_when_it_tags(head: str, scheme: str) -> None:
    texts = [Document("x", " ".join(words)) for words in itertools.permutations(TEXT.split(), 3)]
    tagger = next(t for t in (make(i, scheme, head) for i in range(20)) if any(d.entities for d in t.tag(texts)))
    whole = torch.ones(1, 6, dtype=torch.bool)
    for span in SPANS[::4]:
        (odds,) = Network(tagger, DOCUMENT, offsets(DOCUMENT), span)(whole).tolist()
        assert 1 / (1 + math.exp(-odds)) == pytest.approx(chance(tagger, DOCUMENT, span), abs=1e-5)
    found = [(document, entity) for document in tagger.tag(texts, confidence=True) for entity in document.entities]
    for document, entity in found[:5]:
        told = explain(tagger, document, entity, Explaining(steps=1, most=1))
        assert told.probability == pytest.approx(entity.score, abs=1e-5)


@pytest.mark.parametrize("head", ["crf", "mlp"])
def test_replaced_vectors_are_replaced_words(head: str) -> None:
    tagger = make(2, head=head)
    kept = torch.rand(20, 6) < 0.5
    for span in SPANS[::3]:
        views = [view(tagger, DOCUMENT, offsets(DOCUMENT), span) for view in (Network, Removal)]
        one, other = (view(kept) for view in views)
        assert one.tolist() == pytest.approx(other.tolist(), abs=1e-3)
        # and that is what the tagger thinks of a text with the words written over
        for row, value in zip(kept.tolist()[:3], one.tolist(), strict=False):
            written = [TEXT[a:b] if stays else STAND_IN for (a, b), stays in zip(offsets(DOCUMENT), row, strict=True)]
            probability = chance(tagger, Document("x", " ".join(written)), span)
            assert 1 / (1 + math.exp(-value)) == pytest.approx(probability, abs=1e-5)


def test_zeros_are_a_baseline_and_a_mask_is_not() -> None:
    network = Network(make(), DOCUMENT, offsets(DOCUMENT), SPANS[0], baseline="zero")
    assert not network.baseline.any()
    assert network.inputs.any()
    with pytest.raises(ConfigError, match="a BiLSTM knows no mask"):
        explain(make(), DOCUMENT, Entity(0, 5, "Disease"), Explaining(baseline="mask"))


def test_of_a_long_sentence_the_window_is_seen_in_which_the_span_stands_deepest() -> None:
    tagger = make(3)
    document = Document("long", "fever after aspirin 12 - " * 90)
    places = offsets(document)
    for first in (0, 360, 447):
        span = (first, first + 2, "Disease")
        network = Network(tagger, document, places, span)
        (odds,) = network(torch.ones(1, len(places), dtype=torch.bool)).tolist()
        assert 1 / (1 + math.exp(-odds)) == pytest.approx(chance(tagger, document, span), abs=1e-5)
    told = explain(tagger, document, Entity(*places[447][:1], places[448][1], "Disease"))
    assert told.complete
    assert {word.score for word in told.words[:50]} == {0.0}
    assert any(word.score for word in told.words[400:])


# Attributions


def test_integrated_gradients_of_a_linear_function_are_exact() -> None:
    weights, inputs, baseline = torch.randn(3, 4), torch.randn(3, 4), torch.randn(3, 4)
    found, steps = integrated_gradients(lambda x: (x * weights).sum((1, 2)) + 5, inputs, baseline, steps=1)
    assert torch.allclose(found, weights * (inputs - baseline), atol=1e-5)
    assert steps == 1


def test_integrated_gradients_are_a_riemann_sum() -> None:
    tagger = make(4)
    network = Network(tagger, DOCUMENT, offsets(DOCUMENT), (0, 2, "Disease"))
    found, _ = integrated_gradients(network.value, network.inputs, network.baseline, steps=64, tolerance=1e-3)
    number = 2000
    shares = (torch.arange(number) + 0.5)[:, None, None] / number  # the middles of even steps
    path = (network.baseline + shares * (network.inputs - network.baseline)).requires_grad_()
    (slope,) = torch.autograd.grad(network.value(path).sum(), path)
    by_hand = slope.mean(0) * (network.inputs - network.baseline)
    assert torch.allclose(found, by_hand, atol=2e-3)
    after, before = network(torch.tensor([[True] * 6, [False] * 6])).tolist()
    assert float(found.sum()) == pytest.approx(after - before, abs=0.01)


def test_steps_are_doubled_until_the_sum_is_right_and_a_gap_is_never_hidden() -> None:
    def steep(x: Tensor) -> Tensor:
        return 4 * torch.sigmoid(60 * (x[:, 0] - 0.3)) + x[:, 1]

    inputs, baseline = torch.tensor([1.0, 1.0]), torch.zeros(2)
    good, steps = integrated_gradients(steep, inputs, baseline, steps=2, most=512)
    assert steps > 8
    assert good.sum().item() == pytest.approx(5, abs=0.05)
    bad, steps = integrated_gradients(steep, inputs, baseline, steps=2, most=3)
    assert steps == 2
    assert abs(bad.sum().item() - 5) > 0.05
    told = example(words=bad.tolist(), log_odds=4.0, base=-1.0)
    assert not told.complete
    assert told.check().startswith("DOES NOT ADD UP")
    assert told.to_dict()["complete"] is False
    page = explanations_html([Case("", "d", "ab", (told,))], title="t", about=[])
    assert 'class="check off"' in page


def shapley_by_hand(value: Callable[[frozenset[int]], float], words: int) -> list[float]:
    """Shapley 1953, over all subsets."""
    found = []
    for word in range(words):
        others = [i for i in range(words) if i != word]
        total = 0.0
        for size in range(words):
            share = math.factorial(size) * math.factorial(words - size - 1) / math.factorial(words)
            for some in itertools.combinations(others, size):
                total += share * (value(frozenset({*some, word})) - value(frozenset(some)))
        found.append(total)
    return found


def game_of(table: Sequence[float], words: int) -> Callable[[Tensor], Tensor]:
    """A game that gives each subset of words, read as a binary number, its value in a table."""
    place = 2 ** torch.arange(words)
    return lambda kept: torch.tensor(table, dtype=torch.float64)[(kept * place).sum(1)]


@given(st.integers(1, 5), st.randoms(use_true_random=False))
@settings(max_examples=15)
def test_shapley_values_of_few_words_are_exact(words: int, random: Any) -> None:
    table = [random.uniform(-5, 5) for _ in range(2**words)]
    found = shapley(game_of(table, words), words)
    expected = shapley_by_hand(lambda kept: table[sum(2**i for i in kept)], words)
    assert found.scores == pytest.approx(expected, abs=1e-5)
    assert found.effort == 2**words


def test_kernel_shap_comes_close_for_more_words_and_always_sums_up() -> None:
    torch.manual_seed(1)
    words = 8
    table = (3 * torch.randn(2**words)).tolist()
    game, before = game_of(table, words), torch.random.get_rng_state()
    found = shapley(game, words, samples=1000, seed=3)
    expected = shapley_by_hand(lambda kept: table[sum(2**i for i in kept)], words)
    assert found.scores == pytest.approx(expected, abs=0.4)
    assert sum(found.scores) == pytest.approx(table[-1] - table[0], abs=0.01)
    assert 200 < found.effort <= 2**words
    assert torch.equal(torch.random.get_rng_state(), before), "nobody else's randomness is touched"
    assert shapley(game, words, samples=100, seed=3) == shapley(game, words, samples=100, seed=3)
    assert shapley(game, words, samples=100, seed=3) != shapley(game, words, samples=100, seed=4)


def test_a_word_that_changes_nothing_has_no_share() -> None:
    weights = torch.tensor([2.0, 0, -1, 0.5, 0, 3, 1], dtype=torch.float64)
    found = shapley(lambda kept: kept.double() @ weights, 7, samples=200)
    assert found.scores == pytest.approx(weights.tolist(), abs=1e-3)


def test_lime_recovers_what_is_additive_and_says_where_nothing_is() -> None:
    weights = torch.tensor([2.0, 0, -1, 0.5, 0, 3, 1, -2, 0, 0.2], dtype=torch.float64)
    found = lime(lambda kept: kept.double() @ weights - 4, 10, samples=1500)
    assert found.scores == pytest.approx(weights.tolist(), abs=0.1)
    assert found.fit == pytest.approx(1, abs=0.01)
    parity = lime(lambda kept: (-1.0) ** kept.sum(1).double(), 10, samples=1000)
    assert parity.fit is not None
    assert parity.fit < 0.3
    assert 0 < lime(lambda kept: kept[:, 0].double(), 1).scores[0] < 1
    assert lime(lambda kept: torch.full((len(kept),), 2.0), 4).fit == 1


# Taggers


def linear() -> LinearTagger:
    items = [(features(item.forms), item.tags or ()) for item in read_tokens(NOTES.train)]
    return LinearTagger(LinearModel(LINEAR.train(items, SCRATCH), NOTES.labels))


def mapped() -> Tagger:
    items = read_tokens(NOTES.train)
    reader = MappedReader(HandMade.of([item.forms for item in items]), None, keep=True)
    return train_mapped(items, NOTES.labels, reader, LINEAR, folder=SCRATCH)


def voting(rule: Any) -> VoteTagger:
    taggers = [make(1), make(2, labels=("Disease", "Other"))]
    readers = [Reader(t.encoder, [t.head], t.vocabulary, t.tagset, t.architecture) for t in taggers]
    return VoteTagger(readers, ("Disease", "Chemical"), kinds=[["crf"], ["crf"]], rule=rule)


LINEAR = LinearCRF(iterations=15)
SCRATCH = Path()


@pytest.fixture(autouse=True, scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> None:
    globals()["SCRATCH"] = tmp_path_factory.mktemp("scratch")


@pytest.mark.parametrize("kind", [linear, mapped])
def test_linear_taggers_are_explained_by_taking_words_away(kind: Callable[[], Tagger]) -> None:
    tagger: Any = kind()
    document = next(d for d in tagger.tag(NOTES.test, confidence=True) if d.entities)
    for entity in document.entities[:3]:
        told = explain(tagger, document, entity, Explaining(samples=300), role="found")
        assert (told.by, told.baseline) == ("shap", "unknown")
        assert told.complete
        # not going on counts, too: no surer than of the words alone
        assert told.probability <= (entity.score or 0) + 1e-9
        assert told.mention == document.mention(entity)
        assert "".join(w.text for w in told.words) in "".join(document.text.split())
    odds = Removal(tagger, document, offsets(document), (0, 1, NOTES.labels[0]))
    assert odds(torch.zeros(2, len(offsets(document)), dtype=torch.bool)).isfinite().all()


@pytest.mark.parametrize("rule", ["majority", "mean"])
def test_votes_are_as_sure_as_when_they_tag(rule: str) -> None:
    tagger = voting(rule)
    texts = [Document(str(i), " ".join(words)) for i, words in enumerate(itertools.permutations(TEXT.split()[:4]))]
    found = list(tagger.tag(texts, confidence=True))
    assert any(document.entities for document in found)
    for document in found:
        for entity in document.entities:
            told = explain(tagger, document, entity, Explaining(by="lime", samples=2))
            assert told.probability == pytest.approx(entity.score, abs=1e-6)
    told = explain(tagger, DOCUMENT, Entity(0, 5, "Chemical"), Explaining(by="shap", samples=100))
    assert told.complete
    nobody = VoteTagger(tagger.readers, ("Gene",), kinds=tagger.kinds, rule=rule)
    with pytest.raises(LabelError, match="Gene"):
        explain(nobody, DOCUMENT, Entity(0, 5, "Gene"), Explaining(by="lime", samples=2))


@pytest.mark.parametrize("by", ["ig", "shap", "lime"])
def test_any_span_of_a_network_is_explained_and_adds_up(by: str) -> None:
    told = explain(make(5), DOCUMENT, Entity(0, 11, "Disease"), Explaining(by=by, samples=200))
    assert [word.text for word in told.words] == ["fever", "after", "12", "aspirin", "-", "xyz"]
    assert all(TEXT[word.start : word.end] == word.text for word in told.words)
    assert told.total == pytest.approx(sum(word.score for word in told.words))
    assert told.gap == pytest.approx(told.log_odds - told.base - told.total)
    assert by == "lime" or (told.complete and abs(told.gap) <= 0.01 * max(1, abs(told.difference)))
    assert ("LIME promises no more" in told.check()) == (by == "lime")


def test_ways_agree_where_words_do_not_interact() -> None:
    class Additive:
        """Each word's letter counts."""

        def __call__(self, kept: Tensor) -> Tensor:
            return kept.double() @ torch.arange(7, dtype=torch.float64)

    assert shapley(Additive(), 7).scores == pytest.approx(range(7), abs=1e-3)
    assert lime(Additive(), 7).scores == pytest.approx(range(7), abs=0.3)


def test_the_word_that_matters_is_found() -> None:
    # trained, so that words matter: cutting out the top word moves the odds more than cutting out another one
    tagger = linear()
    top, rest = [], []
    spans = [(d, e) for d in NOTES.test for e in d.entities][::6][:8]
    for document, span in spans:
        told = explain(tagger, document, span, Explaining(samples=150))
        places = [(w.start, w.end) for w in told.words]
        ((first, last),) = [
            (i, j)
            for i, j in itertools.combinations(range(len(places) + 1), 2)
            if (places[i][0], places[j - 1][1]) == (told.entity.start, told.entity.end)
        ]
        game = Removal(tagger, document, places, (first, last, span.label))
        kept = ~torch.eye(len(places), dtype=torch.bool)
        moved = (game(kept) - told.log_odds).abs().tolist()
        strongest = max(range(len(places)), key=lambda i: abs(told.words[i].score))
        top.append(moved[strongest])
        rest.append(sum(moved) / len(moved))
    assert sum(top) > 3 * sum(rest)


def test_a_sentence_stays_one_whatever_is_taken_out_of_it() -> None:
    document = Document("1", "Dr. Smith gave her (e.g. in 2020) St. John wort vs. Aspirin. ")
    places = offsets(document)
    assert len(places) == 21
    for gone in range(len(places)):
        altered, entity = _altered(document, places, [place != gone for place in range(len(places))], (16, 17, "Drug"))
        assert len(sentences(altered.text)) == 1 and len(words(altered.text)) == len(places)
        assert altered.text[entity.start : entity.end].endswith("wort") or gone == 16


def test_a_list_of_names_finds_a_span_or_does_not() -> None:
    tagger = Gazetteer([("fever", "Disease"), ("mild fever", "Disease")])
    text = Document("x", "No (mild fever) today.")
    told = explain(tagger, text, Entity(4, 14, "Disease"), Explaining(samples=200))
    assert (told.probability > 0.99, told.complete, told.by) == (True, True, "shap")
    assert {w.text for w in told.words if abs(w.score) > 20} == {"mild", "fever"}
    told = explain(tagger, text, Entity(9, 14, "Disease"), Explaining(samples=200))
    assert told.probability < 0.01, "the longer name stands there"
    assert {w.text: w.score < 0 for w in told.words if abs(w.score) > 20} == {"mild": True, "fever": False}


def test_what_cannot_be_explained_is_said_in_one_line() -> None:
    with pytest.raises(ConfigError, match="a crfsuite tagger is no single network"):
        explain(linear(), NOTES.test[0], NOTES.test[0].entities[0], Explaining(by="ig"))
    with pytest.raises(ConfigError, match="baseline 'zero' is for single networks"):
        explain(linear(), NOTES.test[0], NOTES.test[0].entities[0], Explaining(baseline="zero"))
    with pytest.raises(LabelError, match="knows no label 'Gene', only Chemical, Disease"):
        explain(make(), DOCUMENT, Entity(0, 5, "Gene"))
    with pytest.raises(SpanError, match="no sentence that the tagger reads holds all of"):
        explain(make(), Document("x", "fever\naspirin"), Entity(0, 13, "Disease"))
    for wrong in ({"by": "guess"}, {"baseline": "noise"}, {"steps": 0}, {"samples": 1}, {"tolerance": 0}):
        with pytest.raises(ConfigError):
            Explaining(**wrong)  # type: ignore[arg-type]


# Transformers


def piecewise(family: str, head: str = "crf") -> NeuralTagger:
    """A tagger over a tiny random model."""
    transformers, tokenizers = pytest.importorskip("transformers"), pytest.importorskip("tokenizers")
    names = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "eronis")]
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({n: i for i, n in enumerate(names)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(names[:5])
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    if family == "xlnet":
        size = {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24}
    else:
        size["max_position_embeddings"] = 64
    more = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]} if family == "deberta-v2" else {}
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(
        family, **size, **more, vocab_size=len(names), pad_token_id=1, initializer_range=0.5
    )
    found = Pieces(tokenizer, unknown=0, pad=1, left=family == "xlnet")
    encoder = Transformer(transformers.AutoModel.from_config(config), found.marks(), window=20, dropout=0.1).eval()
    architecture = Architecture(TransformerEncoder(dropout=0.1), head)  # type: ignore[arg-type]
    tagset = TagSet(LABELS)
    layer = architecture.build_head(encoder.width, tagset)
    return NeuralTagger(encoder, layer, found, tagset, architecture=architecture)


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "mpnet", "deberta-v2", "xlnet", "modernbert"])
def test_pieces_of_words_are_explained_in_every_family(family: str) -> None:
    tagger = piecewise(family)
    document = Document("x", "fever moose aeon rise serene noise roses 发 fever")  # more pieces than a window holds
    places = offsets(document)
    embedding = tagger.encoder.model.get_input_embeddings()  # type: ignore[union-attr,operator]
    for span in ((0, 1, "Disease"), (3, 5, "Chemical")):
        network = Network(tagger, document, places, span)
        assert network.named == "mask"
        assert network.word.unique().tolist() == list(range(9))
        assert len(network.word) > 20, "words have several pieces"
        whole = torch.ones(1, 9, dtype=torch.bool)
        assert torch.sigmoid(network(whole)).item() == pytest.approx(chance(tagger, document, span), abs=1e-5)
        told = explain(tagger, document, Entity(places[span[0]][0], places[span[1] - 1][1], span[2]))
        assert told.complete, told.check()
    assert "forward" not in vars(embedding), "the model is left as it was"
    for baseline, row in (("unknown", 0), ("mask", 4)):
        network = Network(tagger, document, places, (0, 1, "Disease"), baseline=baseline)
        assert torch.equal(network.baseline[0], embedding.weight[row])


def test_a_mask_has_to_be_there() -> None:
    tagger = piecewise("bert")
    vocabulary: Any = tagger.vocabulary
    vocabulary.tokenizer = _without_mask(vocabulary.tokenizer)
    assert Network(tagger, DOCUMENT, offsets(DOCUMENT), (0, 1, "Disease")).named == "unknown"
    with pytest.raises(ConfigError, match="the model knows no mask"):
        Network(tagger, DOCUMENT, offsets(DOCUMENT), (0, 1, "Disease"), baseline="mask")


def _without_mask(tokenizer: Any) -> Any:
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [t for t in data["added_tokens"] if t["content"] != "[MASK]"]
    data["model"]["vocab"]["[NONE]"] = data["model"]["vocab"].pop("[MASK]")
    return type(tokenizer).from_str(json.dumps(data))


# Pages


def example(
    words: Sequence[float] = (1.0, -2.0), log_odds: float = 1.0, base: float = 2.0, text: str = "ab", **how: Any
) -> Explanation:
    told = tuple(Word(i, i + 1, text[i], score) for i, score in enumerate(words))
    entity = Entity(0, 1, "Disease")
    return Explanation("gold", entity, text[0], how.pop("by", "ig"), "unknown", log_odds, base, told, 32, **how)


class _Reads(HTMLParser):
    """Collects the texts of elements of a class, and checks that tags are balanced."""

    def __init__(self, wanted: str) -> None:
        super().__init__()
        self.open: list[tuple[str, bool]] = []
        self.found: list[str] = []
        self.links: list[str] = []
        self._wanted = wanted

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        here = dict(attrs).get("class") == self._wanted
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "srcset"}]
        if here:
            self.found.append("")
        if tag != "meta":
            self.open.append((tag, here))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if any(here for _, here in self.open) and not any(tag == "small" for tag, _ in self.open):
            self.found[-1] += data


TEXTS = [
    "<script>alert(1)</script> & fever \"quoted\" 'x'  after\u00a0aspirin",
    "患者三天前发热，咳嗽。",
    "cafe\u0301 \U0001f9d1\u200d\U0001f52c <u>fever</u>",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_page_shows_the_sentence_as_it_is_and_nothing_of_it_is_run(text: str) -> None:
    document = Document("<d>&", text)
    places = offsets(document)
    spans = [
        Entity(*places[0], "Disease"),
        Entity(places[1][0], places[-1][1], "Disease"),
        Entity(*places[-1], "Disease"),
    ]
    told = tuple(explain(make(6), document, span, Explaining(steps=4)) for span in spans)
    page = explanations_html([Case("missed", "<d>&", text, told, ("<i>note</i>",))], title="<t>", about=[("a", "<b>")])
    reads = _Reads("text")
    reads.feed(page)
    assert not reads.open
    assert not reads.links
    assert "http" not in page and "url(" not in page
    assert "<script" not in page and "<u>fever" not in page and "<i>note" not in page
    assert [found.replace("Disease", "") for found in reads.found] == [text[places[0][0] : places[-1][1]]] * 3
    underlined = _Reads("span")
    underlined.feed(page)
    assert underlined.found == [document.mention(span) for span in spans]
    assert html.escape("<d>&") in page


def test_colours_follow_sign_and_size() -> None:
    told = example(words=(1.0, -2.0, 0.0), text="abc", log_odds=1, base=2)
    page = explanations_html([Case("", "d", "abc", (told,))], title="t", about=[])
    shown = re.findall(r'<span class="w (\w+)" style="--a: ([\d.]+)" title="([-+.\d]+)">(\w)</span>', page)
    assert shown == [
        ("for", "0.40", "+1.000", "a"),
        ("against", "0.80", "-2.000", "b"),
        ("against", "0.00", "+0.000", "c"),
    ]
    assert re.findall(r"<li><b>(\w)</b>", page) == ["b", "a", "c"]


def test_a_sum_that_sampling_makes_right_is_no_proof() -> None:
    assert example(by="shap").check().startswith("adds up: ")  # 32 sentences are all there are of two words
    told = [example([0.0] * words, 1.0, 1.0, "a" * words, by="shap").check() for words in (3, 6, 5)]
    assert [said.partition(":")[0] for said in told] == ["adds up", "estimated, and made to add up", "adds up"]
    assert "too few for so many words: raise --samples" in told[1]


def test_json_holds_everything() -> None:
    told = explain(make(7), DOCUMENT, Entity(0, 5, "Disease"))
    data = json.loads(json.dumps(explanations_json([Case("missed", "d", TEXT, (told,), ("n",))])))
    (one,) = data["cases"][0]["explanations"]
    assert (one["start"], one["end"], one["label"], one["mention"]) == (0, 5, "Disease", "fever")
    assert one["sum"] == pytest.approx(sum(word["attribution"] for word in one["words"]))
    assert one["sum"] + one["gap"] == pytest.approx(one["log_odds"] - one["baseline_log_odds"])
    assert one["complete"] is True
    assert [word["text"] for word in one["words"]] == TEXT.split()


# Errors


def test_errors_are_explained_in_the_order_of_the_text_gold_beside_predicted() -> None:
    tagger = make(1)
    (found,) = tagger.tag([DOCUMENT])
    assert [(e.start, e.end, e.label) for e in found.entities][:1]
    first = found.entities[0]
    label = next(label for label in LABELS if label != first.label)
    gold = DOCUMENT.with_entities([Entity(first.start, first.end, label)])
    cases = list(explain_errors(tagger, [gold], [Explaining(steps=4)]))
    assert len(cases) == len(found.entities)
    assert cases[0].title == "type"
    assert [(one.role, one.entity.label) for one in cases[0].explanations] == [
        ("gold", label),
        ("predicted", first.label),
    ]
    assert {case.title for case in cases[1:]} <= {"spurious"}
    assert [one.role for case in cases[1:] for one in case.explanations] == ["predicted"] * (len(cases) - 1)
    places = [case.explanations[0].entity.start for case in cases]
    assert places == sorted(places)
    assert not list(explain_errors(tagger, [found]))


def test_gold_that_no_tagger_could_find_is_noted_and_not_dropped() -> None:
    document = Document("x", "fever\naspirin xyz", (Entity(0, 13, "Disease"), Entity(14, 17, "Gene")))
    cases = list(explain_errors(make(8), [document], [Explaining(steps=4)]))
    notes = [note for case in cases for note in case.notes]
    assert any("gold [0, 13)" in note and "no sentence" in note for note in notes)
    assert any("gold [14, 17) 'xyz' Gene is not explained: the tagger knows no label 'Gene'" in note for note in notes)
    snapped = DOCUMENT.with_entities([Entity(1, 4, "Disease")])
    (case, *_) = explain_errors(make(8), [snapped], [Explaining(steps=4)])
    assert case.explanations[0].mention == "fever"
    assert any("inside a word" in note for note in case.notes)


def test_a_text_without_a_finding_says_so() -> None:
    tagger = make(1)
    (case,) = explain_text(tagger, Document("x", " "))
    assert case.notes == ("nothing is found in the text: ask for a span",)
    asked = explain_text(tagger, DOCUMENT, [Entity(0, 5, "Disease")], [Explaining(by="ig"), Explaining(by="lime")])
    assert [(one.role, one.by) for one in asked[0].explanations] == [("asked", "ig"), ("asked", "lime")]


# The command line


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            cli.main([str(argument) for argument in arguments])
        return (int(left.value.code or 0), *capfd.readouterr())

    return call


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "bundle"
    bundle.save(make(1), folder)
    return folder


def test_a_text_is_explained_in_the_terminal_and_as_json(call: Any, saved: Path) -> None:
    status, out, _ = call("explain", saved, "--text", TEXT, "--span", "0:5:Disease", "--by", "ig", "--by", "shap")
    assert status == 0
    assert "asked [0, 5) 'fever' Disease: p " in out
    assert out.count("adds up: the words' sum is ") == 2
    status, out, _ = call("explain", saved, "--text", TEXT, "--json")
    assert status == 0
    cases = json.loads(out)["cases"]
    (found,) = make(1).tag([DOCUMENT])
    spans = [(one["start"], one["end"], one["label"]) for case in cases for one in case["explanations"]]
    assert spans == [(e.start, e.end, e.label) for e in found.entities]


def test_errors_of_a_file_become_a_page(call: Any, saved: Path, tmp_path: Path) -> None:
    gold = [Document(str(i), TEXT, (Entity(12, 22, "Disease"),)) for i in range(5)]
    formats.write(gold, tmp_path / "gold.jsonl", "jsonl")
    page = tmp_path / "page.html"
    status, out, err = call("explain", saved, "--errors", tmp_path / "gold.jsonl", "--limit", 3, "-o", page)
    assert status == 0
    assert page.read_text("utf-8").count('<article class="case">') == 3
    assert out.count("document ") == 3
    assert f"written: {page}" in err
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_page_takes_no_place_of_what_is_read(call: Any, saved: Path, tmp_path: Path) -> None:
    gold = tmp_path / "gold.jsonl"
    formats.write([Document("1", TEXT, ())], gold, "jsonl")
    before = gold.read_bytes()
    for page in (gold, saved / "bundle.json", saved):
        status, out, err = call("explain", saved, "--errors", gold, "-o", page)
        assert (status, out) == (2, "") and "name another output" in err
    assert gold.read_bytes() == before and bundle.load(saved)


def test_labels_of_a_file_get_their_common_names(call: Any, saved: Path, tmp_path: Path) -> None:
    (found,) = make(1).tag([DOCUMENT])
    gold = [Document("1", TEXT, tuple(replace(e, label=e.label.upper()) for e in found.entities))]
    assert {entity.label for entity in gold[0].entities} == {"DISEASE"}
    formats.write(gold, tmp_path / "gold.jsonl", "jsonl")
    status, _, err = call("explain", saved, "--errors", tmp_path / "gold.jsonl")
    assert status == 0 and "no errors" in err


def test_errors_of_a_corpus_are_those_of_its_split(call: Any, tmp_path: Path) -> None:
    bundle.save(linear(), tmp_path / "bundle")
    command = ("explain", tmp_path / "bundle", "--errors", "demo-neurology", "--limit", 2, "--samples", 50, "--json")
    (status, out, _), (_, other, _) = call(*command), call(*command, "--split", "dev")
    assert status == 0
    tests = {document.id for document in department("neurology").test}
    assert {case["document"] for case in json.loads(out)["cases"]} <= tests
    assert not {case["document"] for case in json.loads(other)["cases"]} & tests


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name either --text or --errors"),
        (["--text", "a", "--errors", "b"], "name either --text or --errors"),
        (["--text", TEXT, "--span", "0-5"], "expected START:END:LABEL"),
        (["--text", TEXT, "--span", "3:99:Disease"], "the text has 28 characters"),
        (["--text", TEXT, "--span", "0:5:Gene"], "knows no label 'Gene'"),
        (["--errors", "demo-neurology", "--span", "0:5:Disease"], "--span is a place in --text"),
        (["--errors", "demo-neurology", "--split", "all"], "unknown split 'all'"),
        (["--errors", "no-such-corpus"], "no registered corpus and no path"),
        (["--text", TEXT, "--split", "dev"], "--split goes with --errors"),
        (["--text", TEXT, "--limit", "3"], "--limit goes with --errors"),
        (["--text", TEXT, "--labels", "nowhere.toml"], "--labels goes with --errors"),
        (["--errors", str(Path(__file__)), "--split", "dev"], "is one file, all of which is read"),
        (["--text", "no \udcff", "--span", "0:2:Disease"], "half a surrogate pair is no text"),
        (["--text", TEXT, "--seed", "99999999999"], "seed lies in [0, 4294967295]"),
        (["--text", TEXT, "--by", "guess"], "unknown way 'guess'"),
        (["--text", TEXT, "--baseline", "mask"], "a BiLSTM knows no mask"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    call: Any, saved: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    status, out, err = call("explain", saved, *arguments, "-o", tmp_path / "page.html")
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_without_captum_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "captum.attr", None)
    with pytest.raises(ConfigError, match=r'pip install "transfuse\[explain\]"'):
        explain(make(), DOCUMENT, Entity(0, 5, "Disease"))


def test_path_scores_are_the_heads() -> None:
    head: Any = make(9).head
    start, end, move = path_scores(head)
    assert (start[head.crf.legal_start] == head.crf.start[head.crf.legal_start]).all()
    assert (move[~head.crf.legal_transition] < -1e29).all()
    assert end.dtype == torch.float64
