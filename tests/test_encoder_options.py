"""Frozen encoders whose states are kept, adapters, less memory, less precision: each against the plain computation."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers", reason="the extra 'transformers' is not installed")

from tiny import brief, layers, loaded, make, moved, states, task
from transfuse import bundle, cli
from transfuse.encoders.known import _shape
from transfuse.ensembles.votes import VoteTagger
from transfuse.experiments.recipe import make_recipe
from transfuse.lighter import to_int8
from transfuse.methods.retrain import Retrain
from transfuse.methods.target_only import TargetOnly
from transfuse.nn.kept import KeptStates
from transfuse.nn.transformer import Transformer
from transfuse.run import Run
from transfuse.taggers.architecture import Architecture
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.encoding import Supervised, new_encoding
from transfuse.taggers.layers import layer_of
from transfuse.taggers.transformer import Lora, TransformerEncoder
from transfuse.taggers.vectors import Vectors
from transfuse.text import ConfigError, DataError
from transfuse.train import Training, fit
from transfuse.transfer.supervised import head_loss, read_domain

needs_peft = pytest.mark.skipif(find_spec("peft") is None, reason="the extra 'lora' is not installed")


@pytest.fixture(params=["bert", "xlnet", "modernbert"])
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def bert(made: dict[str, str]) -> str:
    return made["bert"]


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
    sentences = [["fever"], ["after"], ["after", "fever", "5"], ["fever", "after"] * 40]  # the last one in windows
    for _ in range(2):
        for one, other in zip(states(plain, table, sentences), states(still, table, sentences), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert still.kept is not None
    assert len(still.kept) == 4
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


@dataclass
class Rows:
    """A batch for a loop without documents."""

    values: torch.Tensor

    @property
    def sentences(self) -> int:
        return len(self.values)


@pytest.mark.parametrize(("parts", "accumulate"), [((8,), None), ((4, 4), 2), ((5, 3), 2), ((1, 3, 4), 3), ((2, 6), 9)])
def test_accumulated_batches_are_one_larger_batch(
    parts: tuple[int, ...], accumulate: int | None, tmp_path: Path
) -> None:
    """For a loss that is a mean over sentences: weights, averages and records are those of the whole batch."""

    def ends(sizes: tuple[int, ...], many: int | None, name: str) -> tuple[torch.Tensor, dict[str, Any]]:
        torch.manual_seed(3)
        network = torch.nn.Linear(4, 1)
        whole = [torch.randn(8, 4) for _ in range(1 if many == 9 else 3)]
        batches = [Rows(rows) for batch in whole for rows in batch.split(sizes)]
        training = Training(epochs=4, rate=0.1, accumulate=many, clip=0.05, average=0.5)
        objective = lambda rows: {"fit": (network(rows.values).squeeze(1) - rows.values.sum(1)).square().mean()}  # noqa: E731
        summary = fit(network, objective, lambda _: batches, training, stage=Run(tmp_path / name).stage("toy"))
        return network.weight.detach(), summary

    one, told = ends((8,), None if accumulate != 9 else 9, "whole")
    other, same = ends(parts, accumulate, "parts")
    torch.testing.assert_close(other, one, atol=1e-6, rtol=1e-5)
    assert same["sentences"] == told["sentences"] == (32 if accumulate == 9 else 96)


def test_an_epoch_has_as_many_steps_however_they_are_made() -> None:
    assert Training(steps=20).least == 20
    assert Training(steps=20, accumulate=4).least == 80
    with pytest.raises(ConfigError, match=r"training\.accumulate is at least 2, not 1"):
        Training(accumulate=1)


def one_step(
    name: str, tmp_path: Path, *, precision: Any = None, **how: Any
) -> tuple[float, dict[str, torch.Tensor], int]:
    """Loss, gradients, and the bytes that wait for the backward pass, of one batch with dropout inside the model."""
    learned = task()
    method = Supervised(Architecture(TransformerEncoder(name=name, dropout=0.0, **how)))
    encoding = new_encoding([learned.target], method, task=learned, run=Run(tmp_path))
    domain = read_domain(encoding, learned.target, stage=Run(tmp_path).stage("target"))
    batch = encoding.batch(sorted(domain.items, key=lambda s: -len(s.forms))[:6], domain.tagset)
    encoding.encoder.train()
    encoding.encoder.precision = precision  # type: ignore[union-attr]
    kept: list[int] = []

    def note(value: torch.Tensor) -> torch.Tensor:
        kept.append(value.numel() * value.element_size())
        return value

    torch.manual_seed(5)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
        loss = head_loss(domain.head, encoding.encoder(batch), batch)
    loss.backward()  # type: ignore[no-untyped-call]
    grads = {n: p.grad for n, p in encoding.encoder.named_parameters() if p.grad is not None}
    return float(loss.detach()), grads, sum(kept)


def test_checkpointing_gives_the_same_from_less_memory(made: dict[str, str], family: str, tmp_path: Path) -> None:
    if family == "xlnet":
        with pytest.raises(ConfigError, match=r"encoder\.checkpointing: xlnet does not know how"):
            loaded(made[family], checkpointing=True)
        return
    loss, grads, bytes_ = one_step(made[family], tmp_path / "a")
    same, again, fewer = one_step(made[family], tmp_path / "b", checkpointing=True)
    assert same == loss
    assert grads.keys() == again.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(again[name], grad, atol=1e-7, rtol=1e-5)
    assert fewer < 0.6 * bytes_


def test_less_precision_loses_little(made: dict[str, str], family: str, tmp_path: Path) -> None:
    loss, grads, _ = one_step(made[family], tmp_path / "a")
    near, rough, _ = one_step(made[family], tmp_path / "b", precision="bf16")
    assert near != loss
    assert near == pytest.approx(loss, rel=0.03)
    assert all(grad.dtype == torch.float32 for grad in rough.values())
    one, other = (torch.cat([g[name].flatten() for name in grads]) for g in (grads, rough))
    assert torch.cosine_similarity(one, other, dim=0) > 0.98


def test_precision_is_a_transformers(bert: str, cache: Path, tmp_path: Path) -> None:
    training = Training(epochs=1, steps=2, precision="bf16")
    small = BiLSTMEncoder(hidden=4)
    for encoder in (small, TransformerEncoder(name=bert, frozen="all")):
        method = TargetOnly(Architecture(encoder), training, Vectors(kind="none"))
        with pytest.raises(ConfigError, match=r"training\.precision is a transformer's"):
            method.fit(task(), run=Run(tmp_path / encoder.kind))
    run = Run(tmp_path / "trained")
    tagger: Any = replace(brief(bert), training=training).fit(task(), run=run)
    assert {p.dtype for p in tagger.encoder.parameters()} == {torch.float32}
    bundle.save(tagger, tmp_path / "bundle")
    again = bundle.load(tmp_path / "bundle")
    assert list(again.tag(task().target.dev)) == list(tagger.tag(task().target.dev))


@needs_peft
def test_an_encoder_without_linear_maps_takes_no_adapters(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gpt2 has no linear map in its layers"):
        loaded(make(tmp_path, "gpt2"), lora=Lora(rank=2))


@needs_peft
def test_adapters_alone_are_trained_and_the_bundle_tags_identically(
    made: dict[str, str], family: str, tmp_path: Path
) -> None:
    learned, lora = task(), Lora(rank=2, alpha=4, dropout=0.1)
    sentences = [["fever", "after"], ["aspirin"]]
    (plain, table), (adapted, _) = loaded(made[family]), loaded(made[family], lora=lora)
    for one, other in zip(states(plain, table, sentences), states(adapted, table, sentences), strict=True):
        assert torch.equal(one, other)  # before it learns, an adapter adds nothing
    own = {name.replace(".base_layer.", "."): value for name, value in adapted.named_parameters()}
    tagger: Any = brief(made[family], lora=lora).fit(learned, run=Run(tmp_path / "run"))
    rest = 0
    for name, value in tagger.encoder.named_parameters():
        if ".lora_" in name:
            assert value.requires_grad
            assert float(value.detach().abs().max()) > 0
        else:
            assert not value.requires_grad
            assert torch.equal(value, own[name.replace(".base_layer.", ".")])
            rest += value.numel()
    assert 0 < sum(p.numel() for p in tagger.encoder.parameters() if p.requires_grad) < rest
    bundle.save(tagger, tmp_path / "bundle")
    assert not [path for path in (tmp_path / "bundle").iterdir() if path.suffix not in (".json", ".md", ".safetensors")]
    again: Any = bundle.load(tmp_path / "bundle")
    for one, other in zip(
        tagger.tag(learned.target.dev, confidence=True), again.tag(learned.target.dev, confidence=True), strict=True
    ):
        assert one == other
    exact = torch.cat(states(again.encoder, table, sentences)).clone()
    to_int8(again)
    rough = torch.cat(states(again.encoder, table, sentences))
    assert not torch.equal(exact, rough)
    assert torch.cosine_similarity(exact, rough).min() > 0.97


@needs_peft
def test_adapters_of_frozen_layers_rest(bert: str) -> None:
    encoder, _ = loaded(bert, lora=Lora(rank=2), frozen=2)
    trained = {layer_of(f"encoder.{name}") for name, p in encoder.named_parameters() if p.requires_grad}
    assert trained == {"layer.2"}
    with pytest.raises(ConfigError, match="leaves nothing to train"):
        TransformerEncoder(name=bert, frozen="all", lora=Lora())


@needs_peft
def test_sources_hand_adapters_over(bert: str, cache: Path, tmp_path: Path) -> None:
    training = Training(epochs=1, steps=3, rate=0.05)
    encoder = TransformerEncoder(name=bert, lora=Lora(rank=2))
    method = Retrain(Architecture(encoder), training, Vectors(kind="none"), source_training=training)
    tagger: Any = method.fit(task(), run=Run(tmp_path / "run"))
    assert all(float(p.detach().abs().max()) > 0 for n, p in tagger.encoder.named_parameters() if "lora_B" in n)


def test_without_the_library_adapters_are_one_line(bert: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r'encoder\.lora needs an extra: pip install "transfuse\[lora\]"'):
        loaded(bert, lora=Lora())


def test_settings_at_their_default_are_not_in_a_recipe(bert: str) -> None:
    def recipe(**encoder: Any) -> Any:
        method = {"name": "target-only", "architecture": {"encoder": {"kind": "transformer", "name": bert, **encoder}}}
        return make_recipe({"data": {"target": "demo-cardiology"}, "method": method})

    table = recipe().to_dict()["method"]
    assert not {"checkpointing", "lora"} & set(table["architecture"]["encoder"])
    assert not {"accumulate", "precision"} & set(table["training"])
    chosen = recipe(lora={"rank": 4}, checkpointing=True)
    assert make_recipe(chosen.to_dict()) == chosen
    with pytest.raises(ConfigError, match=r"unknown key method\.architecture\.encoder\.lora\.ranks; did you mean"):
        recipe(lora={"ranks": 4})
    with pytest.raises(ConfigError, match=r"encoder\.lora\.rank is at least 1, not 0"):
        recipe(lora={"rank": 0})


def test_int8_is_near_and_of_transformers_alone(
    made: dict[str, str], family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tagger: Any = brief(made[family]).fit(task(), run=Run(tmp_path / "run"))
    bundle.save(tagger, tmp_path / "bundle")
    sentences = [["fever", "after"], ["aspirin"]]
    plain, table = tagger.encoder.eval(), tagger.architecture.encoder.table(tagger.vocabulary, tagger.encoder)
    exact = torch.cat(states(plain, table, sentences)).clone()
    two = VoteTagger([tagger._reader], tagger.labels, kinds=[("crf",)])
    to_int8(two)
    rough = torch.cat(states(plain, table, sentences))
    assert not torch.equal(exact, rough)
    assert torch.cosine_similarity(exact, rough).min() > 0.97
    assert not any(isinstance(m, torch.nn.Linear) for m in tagger.encoder.model.modules())
    (tmp_path / "notes.txt").write_text("fever after aspirin\n" * 3)
    for more in ([], ["--int8"]):
        with pytest.raises(SystemExit) as status:
            cli.main(["tag", str(tmp_path / "bundle"), str(tmp_path / "notes.txt"), *more])
        assert status.value.code == 0
        assert len(capsys.readouterr().out.splitlines()) == 3


def test_int8_without_a_transformer_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = Training(epochs=1, steps=1)
    method = TargetOnly(Architecture(BiLSTMEncoder(hidden=4)), training, Vectors(kind="none"))
    bundle.save(method.fit(task(), run=Run(tmp_path / "run")), tmp_path / "bundle")
    (tmp_path / "notes.txt").write_text("fever")
    with pytest.raises(SystemExit) as status:
        cli.main(
            ["tag", str(tmp_path / "bundle"), str(tmp_path / "notes.txt"), "-o", str(tmp_path / "o.jsonl"), "--int8"]
        )
    assert status.value.code == 2
    assert "int8 is for taggers with a transformer" in capsys.readouterr().err
    assert not (tmp_path / "o.jsonl").exists()


@pytest.mark.parametrize(
    "config", ['{"num_hidden_layers": ', '{"num_hidden_layers": null}', "[]", '{"hidden_size": [1]}']
)
def test_a_broken_configuration_has_no_shape(config: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    assert _shape(tmp_path) == (0, 0)
