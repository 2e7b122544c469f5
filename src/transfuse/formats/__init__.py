"""File formats, one file each: the file name is the registered name (with ``-`` for ``_``), found by looking.

Every format has ``SUFFIXES``; ``KEEPS``, what it can hold besides text and entities (``score``, ``unknown``);
``sniff(head)``, whether text that begins so is in it; ``read(source, *, losses, ...)``, which yields documents; and
``write(documents, out, *, losses, ...)``. A format that is a folder has ``claims(path)`` too, and writes to a path.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import types
import typing
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal

from transfuse.files import Source, natural, open_output, output_folder, suffix_of
from transfuse.losses import Losses
from transfuse.mentions import Ids
from transfuse.text import ConfigError, DataError, Document

__all__ = ["by_suffix", "detect", "names", "options", "parse_spec", "read", "write"]

_SPEC = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z0-9_-]*)(?:\[(?P<options>(?:[^\]\"]|\"[^\"]*\")*)\])?(?::(?P<path>.*))?", re.DOTALL
)
_OPTION = re.compile(r"\s*(?P<key>[A-Za-z_]\w*)\s*=\s*(?:\"(?P<quoted>[^\"]*)\"|(?P<plain>[^,\"]*))\s*(?:,|$)")
_COMMON = {"encoding": str, "errors": Literal["strict", "replace"]}

_ABOUT = re.compile("readme|licen[cs]e|copying|changes", re.IGNORECASE)
"""Files that tell of a corpus and are none of it: asked last what a folder holds."""

_PLAINEST = "jsonl"
"""Asked last whether a file is in it: it takes any JSON object with a text."""


@cache
def names() -> tuple[str, ...]:
    """The registered formats, in order."""
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)))


def _module(name: str) -> Any:
    if name not in names():
        raise ConfigError(f"unknown format {name!r}: choose one of {', '.join(names())}, or auto")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")


def options(name: str, verb: Literal["read", "write"] = "read") -> dict[str, Any]:
    """The options of a format with their defaults.

    Raises:
        ConfigError: there is no such format.
    """
    found = {key: kind.default for key, kind in _parameters(name, verb).items()}
    return found | ({"encoding": "auto", "errors": "strict"} if verb == "read" else {})


def _parameters(name: str, verb: str) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(getattr(_module(name), verb)).parameters
    return {k: p for k, p in parameters.items() if p.kind is p.KEYWORD_ONLY and k != "losses"}


def _check(name: str, verb: str, given: dict[str, Any]) -> None:
    """Every option exists and has a value of its kind."""
    hints = typing.get_type_hints(getattr(_module(name), verb))
    hints = {key: hints[key] for key in _parameters(name, verb)} | (_COMMON if verb == "read" else {})
    for key, value in given.items():
        if key not in hints:
            known = f"choose one of {', '.join(sorted(hints))}" if hints else "it has none"
            raise ConfigError(f"format {name} has no option {key!r} to {verb} with: {known}")
        if value == "":
            raise ConfigError(f"option {key} of format {name} is empty")
        if not _fits(hints[key], value):
            raise ConfigError(f"option {key} of format {name} is {_say(hints[key])}, not {value!r}")


def _fits(hint: Any, value: object) -> bool:
    origin = typing.get_origin(hint)
    if origin is Literal:
        return value in typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return any(_fits(part, value) for part in typing.get_args(hint))
    if hint in {int, str, bool, type(None)}:
        return type(value) is hint
    return True


def _say(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(str, typing.get_args(hint)))
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return " or ".join(_say(part) for part in typing.get_args(hint))
    return {int: "a whole number", str: "a text", bool: "true or false", type(None): "none"}.get(hint, str(hint))


def parse_spec(spec: str) -> tuple[str, dict[str, Any], str]:
    """``conll[scheme=IOB1,column=3]:path`` as format, options and path; the format is ``auto`` where none is named.

    Values are whole numbers, ``true``, ``false``, ``none`` or text, which may stand in double quotes. A path that
    exists wins over a reading of its name as a format.

    Raises:
        ConfigError: an unknown format, options that cannot be read, or nothing where a path belongs.
    """
    match = _SPEC.fullmatch(spec)
    if not spec or (match and match["path"] == ""):
        raise ConfigError(f"{spec!r} names no file or folder")
    if not match or Path(spec).exists() or (match["options"] is None and match["path"] is None):
        return "auto", {}, spec
    if match["path"] is None and match["name"] not in names():
        return "auto", {}, spec
    if match["name"] != "auto":
        _module(match["name"])
    return match["name"], _options(match["options"] or "", spec), match["path"] or ""


def _options(text: str, spec: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    place = 0
    while text[place:].strip():
        match = _OPTION.match(text, place)
        if not match:
            raise ConfigError(f"cannot read the options of {spec!r}: write name[key=value,key=value]:path")
        found[match["key"]] = match["quoted"] if match["quoted"] is not None else _scalar(match["plain"].strip())
        place = match.end()
    return found


def _scalar(text: str) -> object:
    words: dict[str, object] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def _named(format: str, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A format that may carry options of its own, as ``conll[scheme=IO]``."""
    if format == "auto" or "[" not in format:
        return format, given
    name, own, path = parse_spec(format)
    if path:
        raise ConfigError(f"{format!r} is not the name of a format: write name[key=value]")
    return name, own | given


def detect(path: str | Path) -> str:
    """The format of a file or folder: by its content, or by its suffix where the content is like no format.

    Raises:
        DataError: there is no such file, or it looks like none of the formats.
    """
    with Source(path) as source:
        return _detect(source)


def _detect(source: Source) -> str:
    if source.path:
        for name in names():
            if hasattr(_module(name), "claims") and _module(name).claims(source.path):
                return name
    if source.path and source.path.is_dir():
        for path in sorted(source.path.rglob("*"), key=lambda path: (bool(_ABOUT.match(path.name)), natural(path))):
            if path.is_file() and by_suffix(path.name):
                return detect(path)
        known = ", ".join(names())
        raise source.error(f"holds no file of a known format: name it, as conll:{source.path}; there are: {known}")
    suited = by_suffix(source.name) if source.path else []
    head = source.head()
    ranked = [*suited, *(name for name in names() if name not in suited)]
    for name in [*(name for name in ranked if name != _PLAINEST), _PLAINEST]:
        if _module(name).sniff(head):
            return name
    if len(suited) == 1 or (suited and suffix_of(source.name) == f".{suited[0]}"):
        return suited[0]
    raise source.error(f"cannot tell the format: name one of {', '.join(names())}")


def by_suffix(file: str) -> list[str]:
    """The formats whose files may be called so, the one that the suffix itself names before the others."""
    suffix = suffix_of(file)
    return sorted((name for name in names() if suffix in _module(name).SUFFIXES), key=lambda name: f".{name}" != suffix)


def read(
    source: str | Path | IO[Any],
    format: str = "auto",
    *,
    losses: Losses | None = None,
    encoding: str = "auto",
    errors: str = "strict",
    stem: str = "",
    **given: Any,
) -> Iterator[Document]:
    """The documents of a file, a folder of files, or an open handle; streams.

    Args:
        source: a path, or a handle of bytes or text, which stays open; gzip is unpacked.
        format: a registered name, with options in brackets if need be, or ``auto``.
        losses: collects what the format could not give as it stands.
        encoding: a codec, or ``auto``: by byte order mark, else UTF-8.
        errors: ``strict`` raises on broken bytes; ``replace`` puts U+FFFD there and counts the lines.
        stem: what documents without an id are named after; the file's name without suffixes by default.
        **given: options of the format.

    Raises:
        DataError: malformed input, when its place is reached; or no such file.
        ConfigError: no such format or option.
    """
    losses = Losses() if losses is None else losses
    name, given = _named(format, given)
    for key, value in (("encoding", encoding), ("errors", errors)):
        given.setdefault(key, value)
    encoding, errors = str(given["encoding"]), given["errors"]  # 1252 is a name
    given["encoding"] = encoding
    opened = Source(source, encoding=encoding, errors=errors, losses=losses, stem=stem)
    name = _detect(opened) if name == "auto" else name
    _check(name, "read", given)
    own = {key: value for key, value in given.items() if key not in _COMMON}
    return _stream(name, opened, losses, own)


def _stream(name: str, source: Source, losses: Losses, given: dict[str, Any]) -> Iterator[Document]:
    module = _module(name)
    with source:
        if not source.path or not source.path.is_dir() or hasattr(module, "claims"):
            yield from module.read(source, losses=losses, **given)
            return
        files = _files(name, source, source.path)
        ids = Ids(losses)
        for path in sorted(files, key=natural):
            with source.child(path) as child:
                for document in module.read(child, losses=losses, **given):
                    own = ids.unique(document.id)
                    yield document if own == document.id else replace(document, id=own)
        taken = set(files)
        for path in source.path.rglob("*"):
            if path.is_file() and path not in taken and by_suffix(path.name):
                losses.add("skipped", "file of another format", detail=str(path))


def _files(name: str, source: Source, folder: Path) -> list[Path]:
    """The files of a format in a folder: by their suffix, or by their content where none has the suffix."""
    there = [path for path in folder.rglob("*") if path.is_file()]
    files = [path for path in there if name in by_suffix(path.name)]
    files = files or [path for path in there if _is(name, path, source)]
    if not files:
        ends = " or ".join(_module(name).SUFFIXES)
        raise source.error(f"holds no file that ends in {ends}, and none of another name that is {name} inside")
    return files


def _is(name: str, path: Path, folder: Source) -> bool:
    with folder.child(path) as child, suppress(DataError):
        return _detect(child) == name
    return False


def write(
    documents: Iterable[Document],
    target: str | Path | IO[Any],
    format: str,
    *,
    losses: Losses | None = None,
    **given: Any,
) -> None:
    """Write documents as they come; a path gets its content only when all went well.

    Args:
        documents: read once, in order.
        target: a path (packed where it ends in ``.gz``), or a handle of bytes or text, which stays open.
        format: a registered name, with options in brackets if need be.
        losses: collects what the format cannot hold.
        **given: options of the format.

    Raises:
        ConfigError: no such format or option, or a format that cannot be written.
        DataError: a path that cannot be written.
    """
    losses = Losses() if losses is None else losses
    name, given = _named(format, given)
    module = _module(name)
    _check(name, "write", given)
    kept = _watch(documents, module.KEEPS, losses)
    if hasattr(module, "claims") and isinstance(target, str | Path):
        with output_folder(target) as folder:
            module.write(kept, folder, losses=losses, **given)
    else:
        with open_output(target) as out:
            module.write(kept, out, losses=losses, **given)


def _watch(documents: Iterable[Document], keeps: frozenset[str], losses: Losses) -> Iterator[Document]:
    """Count what a format has no place for: scores once, ranges by document."""
    scores = "score" in keeps
    for document in documents:
        if not scores and any(entity.score is not None for entity in document.entities):
            scores = True
            losses.add("skipped", "scores have no place in the format", document=document.id)
        if document.unknown and "unknown" not in keeps:
            losses.add("skipped", "unknown ranges have no place in the format", document=document.id)
        yield document
