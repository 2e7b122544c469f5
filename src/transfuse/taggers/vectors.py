"""Word vectors: read from files, or trained on raw text once and kept.

Trained and kept vectors are named by a hash of their text and settings, so that no run trains them twice.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from transfuse.data.overlap import without_overlap
from transfuse.files import write_beside
from transfuse.ranges import SEEDS, check_ranges
from transfuse.taggers.vocabulary import normalise
from transfuse.team import team
from transfuse.text import ConfigError, Corpus, DataError, Document, Task
from transfuse.words import words

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from transfuse.run import Run

_VERSION = 1
"""Part of every name in the cache; to be raised when words or their normal form change."""

__all__ = ["SUFFIXES", "Vectors", "WordVectors", "folds_widths", "get_vectors", "read_vectors", "train_vectors"]

SUFFIXES = (".safetensors", ".bin", ".txt", ".vec")
"""What files of word vectors are called: ours, word2vec's binary, and its text."""


@dataclass(frozen=True)
class Vectors:
    """Where word vectors come from, and how they are trained.

    Attributes:
        kind: ``none``; ``file``: read from ``path``; ``task``: trained on the training texts of the target and the
            sources and on the task's raw text; ``train``: trained on ``text`` and the training texts of ``corpora``.
        path: text (word2vec or GloVe), word2vec binary (``.bin``), or what `WordVectors.save` wrote (``.safetensors``).
        text: registered raw collections, as ``en-text``.
        corpora: registered corpora whose *training* texts are read, labels unseen, less what a registered target is
            tested on.
        width: columns.
        window: words to either side that a word predicts.
        epochs: passes over the text.
        negative: words drawn against each true one.
        count: rarer words get no vector.
        rate: learning rate at the start.
        sample: frequent words are thinned out above this share.
        seed: of the training; with one worker the result depends on nothing else.
    """

    kind: Literal["none", "file", "task", "train"] = "task"
    path: str = ""
    text: tuple[str, ...] = ()
    corpora: tuple[str, ...] = ()
    width: int = 100
    window: int = 5
    epochs: int = 1
    negative: int = 5
    count: int = 4
    rate: float = 0.05
    sample: float = 1e-4
    seed: int = 1

    def __post_init__(self) -> None:
        sizes = ("width", "window", "epochs", "negative", "count")
        check_ranges(self, "vectors", **dict.fromkeys(sizes, "[1, inf)"))
        check_ranges(self, "vectors", rate="(0, inf)", sample="[0, inf)", seed=SEEDS)
        if (self.kind == "file") != bool(self.path):
            raise ConfigError('vectors: kind = "file" needs a path, and only that kind does')
        if (self.kind == "train") != bool(self.text or self.corpora):
            raise ConfigError('vectors: kind = "train" needs text or corpora, and only that kind does')


@dataclass(frozen=True)
class WordVectors:
    """Vectors of normalised words.

    Attributes:
        words: as `transfuse.taggers.vocabulary.normalise` writes them.
        values: ``[words, width]`` float16.
        origin: what they were made of, for the record.
    """

    words: tuple[str, ...]
    values: np.ndarray[Any, Any]
    origin: dict[str, Any]

    def tensor(self) -> Tensor:
        """``[words + 1, width]`` float16 with a row of zeros in front, scaled to a standard deviation of 1."""
        import torch

        values = torch.from_numpy(self.values)
        if not values.numel():
            return torch.zeros(1, 0)
        scale = 1.0 / (float(values.float().std()) or 1.0)
        scaled = (values.float() * scale).half()
        return torch.cat([scaled.new_zeros(1, scaled.shape[1]), scaled])

    def save(self, path: Path) -> None:
        """Write ``.safetensors`` (ours), ``.bin`` (word2vec binary) or, for any other suffix, word2vec text."""
        with write_beside(path) as fresh:
            if path.suffix == ".safetensors":
                from safetensors.numpy import save_file

                meta = {"words": json.dumps(self.words, ensure_ascii=False), "origin": json.dumps(self.origin)}
                save_file({"values": self.values}, fresh, meta)
            else:
                from gensim.models import KeyedVectors

                model = KeyedVectors(self.values.shape[1])
                model.add_vectors(list(self.words), self.values.astype("float32"))
                model.save_word2vec_format(str(fresh), binary=path.suffix == ".bin")


def read_vectors(path: Path) -> WordVectors:
    """Read vectors of any kind that `Vectors.path` names; of words that are normalised alike the first is kept.

    Raises:
        DataError: the file is missing or is none of them.
    """
    import numpy as np

    if not path.is_file():
        raise DataError("no such file of word vectors", path=str(path))
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "np") as file:
                meta, values = file.metadata(), file.get_tensor("values")
            found = WordVectors(tuple(json.loads(meta["words"])), values, json.loads(meta["origin"]))
            return _checked(found, path)
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"not a file of word vectors: {error}", path=str(path)) from error
    from gensim.models import KeyedVectors

    binary = path.name.removesuffix(".gz").endswith(".bin")
    try:
        headed = not binary and _has_header(path)
        model = KeyedVectors.load_word2vec_format(
            str(path), binary=binary, no_header=not binary and not headed, unicode_errors="replace"
        )
    except (TypeError, ValueError, EOFError, OSError, UnicodeError, MemoryError, zlib.error) as error:
        raise DataError(f"not word vectors in word2vec or GloVe form: {error}", path=str(path)) from error
    rows: dict[str, int] = {}
    for row, word in enumerate(model.index_to_key):
        rows.setdefault(normalise(word), row)
    origin = {"file": path.name, "sha256": _file_hash(path)}
    with np.errstate(over="ignore"):
        values = model.vectors[list(rows.values())].astype(np.float16)
    return _checked(WordVectors(tuple(rows), values, origin), path)


def _checked(vectors: WordVectors, path: Path) -> WordVectors:
    import numpy as np

    if vectors.values.ndim != 2 or len(vectors.words) != len(vectors.values) or not vectors.values.size:
        raise DataError("holds no word vectors, or not one a word", path=str(path))
    broken = np.flatnonzero(~np.isfinite(vectors.values).all(1))
    if len(broken):
        word = vectors.words[broken[0]]
        raise DataError(f"{len(broken)} vectors are not finite in 16 bits; the first is of {word!r}", path=str(path))
    return vectors


def _has_header(path: Path) -> bool:
    """Whether word2vec's first line is there. Raises DataError where it promises other vectors than there are."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", errors="replace", newline="\n") as file:
        first = file.readline().split()
        if len(first) != 2 or not all(part.isdecimal() for part in first):
            return False
        follow = sum(1 for line in file if line.strip())
    if int(first[0]) != follow:
        raise DataError(f"promises {int(first[0]):,} vectors, and {follow:,} follow", path=str(path), line=1)
    return True


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def train_vectors(
    documents: Iterable[Document], settings: Vectors, *, cache: Path, content: str | None = None, fold: bool = True
) -> WordVectors:
    """Skip-gram vectors (Mikolov et al. 2013) of the documents' normalised words, from the cache where they are known.

    Args:
        documents: read once; never held in memory, and not even read where ``content`` is known.
        settings: `Vectors`.
        cache: folder of vectors by the hash of text and settings.
        content: stands for the text where its hash is known before it is read.
        fold: take full-width and half-width forms of a character for the same; see `folds_widths`.

    Raises:
        ConfigError: no word is frequent enough.
    """
    import numpy as np

    names = ("width", "window", "epochs", "negative", "count", "rate", "sample", "seed")
    choice = {name: value for name, value in asdict(settings).items() if name in names}

    def place(text: str) -> Path:
        key = hashlib.sha256(json.dumps([_VERSION, text, choice], sort_keys=True).encode())
        return cache / f"{key.hexdigest()[:32]}.safetensors"

    if content and place(content).exists():
        return read_vectors(place(content))
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        text = Path(folder) / "words.txt"
        digest, count = _write(documents, text, fold)
        path = place(content or digest)
        if path.exists():
            return read_vectors(path)
        if not _frequent(text, settings.count):
            raise ConfigError(f"no word occurs {settings.count} times in {count} words: choose vectors.kind = none")
        began = time.process_time()
        found, values = _skip_gram(text, settings)
    origin = {**choice, "running_words": count, "sha256": digest}
    origin["cpu_seconds"] = round(time.process_time() - began, 1)
    vectors = WordVectors(found, values.astype(np.float16), origin)
    vectors.save(path)
    return vectors


def _write(documents: Iterable[Document], path: Path, fold: bool) -> tuple[str, int]:
    """The documents' normalised words, a document a line; what is returned is their SHA-256 and their number."""
    digest, count = hashlib.sha256(), 0
    with path.open("w", encoding="utf-8") as file:
        for document in documents:
            found = [normalise(document.text[a:b], fold=fold) for a, b in words(document.text)]
            if found:
                line = " ".join(found) + "\n"
                file.write(line)
                digest.update(line.encode())
                count += len(found)
    return digest.hexdigest(), count


def _skip_gram(text: Path, settings: Vectors) -> tuple[tuple[str, ...], np.ndarray[Any, Any]]:
    """Words, and a row for each."""
    from gensim.models import Word2Vec

    model = Word2Vec(
        corpus_file=str(text),
        vector_size=settings.width,
        window=settings.window,
        sg=1,
        negative=settings.negative,
        min_count=settings.count,
        epochs=settings.epochs,
        sample=settings.sample,
        alpha=settings.rate,
        seed=settings.seed,
        workers=1,
    )
    return tuple(model.wv.index_to_key), model.wv.vectors


def _frequent(text: Path, count: int) -> bool:
    """Whether any word is frequent enough to get a vector."""
    seen: Counter[str] = Counter()
    with text.open(encoding="utf-8") as file:
        for line in file:
            seen.update(line.split())
            if seen and seen.most_common(1)[0][1] >= count:
                return True
    return False


def get_vectors(settings: Vectors, task: Task, run: Run) -> WordVectors:
    """The vectors that settings ask for, recorded with their origin.

    Raises:
        DataError: a file cannot be read.
        ConfigError: no vectors can be trained since no word is frequent enough.
    """
    import numpy as np

    if settings.kind == "none":
        return WordVectors((), np.zeros((0, 0), np.float16), {})
    if settings.kind == "file":
        vectors = read_vectors(Path(settings.path))
    else:
        from transfuse.mirror import cache_folder

        if settings.kind == "train":
            fold = folds_widths(settings.text, settings.corpora)
        else:
            fold = {corpus.language for corpus in (task.target, *task.sources)} != {"en"}
        content = _content(settings, task, fold) if settings.kind == "train" else None
        cache = cache_folder() / "vectors"
        with team().first():
            vectors = train_vectors(_texts(settings, task), settings, cache=cache, content=content, fold=fold)
    run.record("vectors", kind=settings.kind, words=len(vectors.words), **vectors.origin)
    return vectors


def folds_widths(text: Iterable[str], read: Iterable[str]) -> bool:
    """Whether `train_vectors` should fold widths: unless all text is known to be English, where a full-width mark is a
    character of its own and no way of typing.

    Args:
        text: registered raw collections, or paths.
        read: registered corpora, or paths.
    """
    from transfuse import corpora

    raw, known = corpora.raw_names(), corpora.names()
    found = {corpora.raw_info(name).language if name in raw else "" for name in text}
    return found | {corpora.info(name).language if name in known else "" for name in read} != {"en"}


def _held(settings: Vectors, task: Task) -> tuple[str, ...]:
    """Corpora that were published with some of the target's test documents for training: the target itself where these
    are a fold or drawn ones, and those with which its test split has documents in common.
    """
    from transfuse import corpora

    name, _, fold = task.target.name.partition(", fold ")
    if name not in corpora.names():
        return ()
    facts = corpora.info(name)
    own = (name,) if fold or "test" not in facts.splits else ()
    return tuple(each for each in settings.corpora if each in (*own, *facts.tested_on))


def _content(settings: Vectors, task: Task, fold: bool) -> str:
    """What stands for the text of published files: their checksums, which reading them would only confirm."""
    from transfuse import corpora

    files = [dict(corpora.raw_info(name).files) for name in settings.text]
    files += [dict(corpora.info(name).splits["train"].files) for name in settings.corpora]
    held = _held(settings, task)
    apart = [*held, *sorted(document.id for document in task.target.test)] if held else []
    return json.dumps([*files, *(["widths folded"] if fold else []), *([apart] if held else [])])


def _texts(settings: Vectors, task: Task) -> Iterator[Document]:
    if settings.kind == "task":
        for corpus in (task.target, *task.sources):
            yield from corpus.train
        yield from task.raw
        return
    from transfuse import corpora

    for name in settings.text:
        yield from corpora.raw(name)
    held = _held(settings, task)
    for name in settings.corpora:
        yield from _apart(corpora.load(name), task.target) if name in held else corpora.load(name).train


def _apart(corpus: Corpus, target: Corpus) -> Iterable[Document]:
    """Training documents, less what the target is tested on: by id in the target's own corpus, by text in another."""
    if target.name.partition(", fold ")[0] != corpus.name:
        return without_overlap(corpus, replace(target, splits={"test": target.test}))[0].train
    ids = {document.id for document in target.test}
    return (document for document in corpus.train if document.id not in ids)
