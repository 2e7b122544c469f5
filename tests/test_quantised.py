"""A four-bit model written here by hand is the same model when the library reads it."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="the extra 'transformers' is not installed")

from transfuse.encoders import known, pretrained
from transfuse.encoders.quantised import Quantised, rewrite
from transfuse.text import DataError
from transfuse.words import words

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁fever", "▁", "f", "e", "v", "r", "热", "发", ".", "<mask>"]
WIDTH, INNER, ROWS = 32, 64, 16
MATRICES = {"q": (WIDTH, WIDTH), "k": (WIDTH, WIDTH), "v": (WIDTH, WIDTH), "ao": (WIDTH, WIDTH)}
MATRICES |= {"fi": (INNER, WIDTH), "fo": (WIDTH, INNER)}


def four_bits(draw: np.random.Generator, rows: int, columns: int) -> tuple[bytes, np.ndarray]:
    """Blocks of 32 weights, and what they stand for; weight j is the low half of byte j, or the high half of j - 16."""
    packed, weights = b"", np.empty((rows, columns))
    for row in range(rows):
        for block in range(columns // 32):
            scale, values = np.float16(draw.uniform(0.01, 0.2)), draw.integers(0, 16, 32)
            packed += scale.tobytes() + bytes(int(values[j]) | int(values[j + 16]) << 4 for j in range(16))
            weights[row, 32 * block : 32 * block + 32] = (values - 8.0) * float(scale)
    return packed, weights


def write(path: Path) -> dict[str, np.ndarray]:
    """A file with one layer; what its tensors are."""
    draw = np.random.default_rng(3)
    known: dict[str, np.ndarray] = {}
    parts: list[tuple[str, int, int, bytes]] = []

    def add(name: str, shape: tuple[int, ...], *, blocks: bool = False) -> None:
        if blocks:
            packed, known[name] = four_bits(draw, *shape)
        else:
            known[name] = draw.normal(size=shape).astype("<f4")
            packed = known[name].tobytes()
        parts.append((name, int(blocks), known[name].size, packed))

    add("emb.word", (ROWS, WIDTH), blocks=True)
    add("emb.pos", (12, WIDTH))
    add("emb.type", (2, WIDTH))
    for name in ("emb.ln.w", "emb.ln.b"):
        add(name, (WIDTH,))
    for part, shape in MATRICES.items():
        add(f"l0.{part}.w", shape, blocks=True)
        add(f"l0.{part}.b", shape[:1])
    for name in ("l0.aln.w", "l0.aln.b", "l0.oln.w", "l0.oln.b"):
        add(name, (WIDTH,))
    head = b"E5S1" + struct.pack("<I7i", 1, WIDTH, 1, 2, INNER, ROWS, 12, 2) + struct.pack("<fi", 1e-12, 32)
    texts = [piece.encode() for piece in PIECES]
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, texts)))
    head += np.cumsum([0, *map(len, texts)]).astype("<u4").tobytes()
    head += np.array([0, 0, 0, 0, -1, -2, -3, -3, -3, -3, -4, -4, -4, 0], "<f4").tobytes() + b"".join(texts)
    characters = {"\x07": "", "\t": " ", "Ⅳ": "IV"}
    rows = b"".join(
        struct.pack("<IB", ord(c), len(b)) + b"".join(struct.pack("<I", ord(x)) for x in b)
        for c, b in characters.items()
    )
    head += struct.pack("<iI", len(characters), len(rows)) + rows + struct.pack("<i", len(parts))
    start = len(head) + sum(2 + len(name) + 21 for name, *_ in parts)
    for name, blocks, count, packed in parts:
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", blocks, count, start, len(packed))
        start += len(packed)
    path.write_bytes(head + b"".join(packed for *_, packed in parts))
    return known


def test_weights_and_pieces_are_those_of_the_file(tmp_path: Path) -> None:
    known = write(tmp_path / "model.bin")
    rewrite(tmp_path / "model.bin", tmp_path / "model")
    found = pretrained.load(str(tmp_path / "model"))
    assert (found.model.config.num_hidden_layers, found.model.config.intermediate_size) == (1, INNER)
    state = found.model.state_dict()
    for ours, theirs in {
        "embeddings.word_embeddings.weight": "emb.word",
        "embeddings.position_embeddings.weight": "emb.pos",
        "embeddings.token_type_embeddings.weight": "emb.type",
        "embeddings.LayerNorm.bias": "emb.ln.b",
        "encoder.layer.0.attention.self.query.weight": "l0.q.w",
        "encoder.layer.0.attention.self.key.bias": "l0.k.b",
        "encoder.layer.0.attention.self.value.weight": "l0.v.w",
        "encoder.layer.0.attention.output.dense.weight": "l0.ao.w",
        "encoder.layer.0.attention.output.LayerNorm.weight": "l0.aln.w",
        "encoder.layer.0.intermediate.dense.weight": "l0.fi.w",
        "encoder.layer.0.output.dense.weight": "l0.fo.w",
        "encoder.layer.0.output.LayerNorm.bias": "l0.oln.b",
    }.items():
        expected = torch.from_numpy(known[theirs]).float()
        torch.testing.assert_close(state[ours], expected, rtol=1e-3, atol=1e-4, msg=ours)
    tokenizer = found.pieces.tokenizer
    for text, pieces in {
        "fever": ["<s>", "▁fever", "</s>"],
        "发热.": ["<s>", "▁", "发", "热", ".", "</s>"],
        "fe\x07ver\tfever": ["<s>", "▁fever", "▁fever", "</s>"],
        "x": ["<s>", "▁", "<unk>", "</s>"],
    }.items():
        assert [tokenizer.id_to_token(i) for i in tokenizer.encode(text).ids] == pieces
    assert tokenizer.token_to_id("<mask>") == len(PIECES) - 1
    assert (found.pieces.unknown, found.pieces.pad) == (3, 1)


def test_it_comes_from_a_package_and_reads_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "four").mkdir()
    write(tmp_path / "four" / "small.bin")
    info = tmp_path / "four-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: four\nVersion: 1.0\n")
    (info / "RECORD").write_text("four/small.bin,,\n")
    sha256 = hashlib.sha256((tmp_path / "four" / "small.bin").read_bytes()).hexdigest()
    assert Quantised(("none-such",), "four/small.bin", sha256).find() is None
    with pytest.raises(DataError, match="install four again"):
        Quantised(("four",), "four/small.bin", "0" * 64).find()
    monkeypatch.setitem(
        known.KNOWN,
        "four",
        known.Known("x/y", "four bits", Quantised(("four",), "four/small.bin", sha256)),
    )
    from transfuse.taggers.transformer import TransformerEncoder

    settings = TransformerEncoder(name="four")
    encoder, pieces, _ = settings.load()
    table = settings.table(pieces, encoder)
    text = "fever 发热."
    numbers = table.numbers(table.spell(text, words(text)))
    cut = table.forms().select(torch.tensor(numbers))
    names = [[PIECES[i] for i in row[:n]] for row, n in zip(cut.pieces.tolist(), cut.counts.tolist(), strict=True)]
    assert [[name for name in row if name != "▁"] for row in names] == [["▁fever"], ["发"], ["热"], ["."]]


@pytest.mark.parametrize("harm", ["magic", "short", "empty"])
def test_what_is_no_such_file_is_told(harm: str, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    write(path)
    content = path.read_bytes()
    path.write_bytes({"magic": b"X" + content[1:], "short": content[:200], "empty": b""}[harm])
    with pytest.raises(DataError, match="is no model in four bits"):
        rewrite(path, tmp_path / "model")
    assert not (tmp_path / "model").exists()
