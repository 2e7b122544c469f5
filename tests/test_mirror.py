"""Archives into a cache, downloads held against their digests, and nothing left behind when something is wrong."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from serving import Reply, serving
from transfuse import mirror
from transfuse.mirror import ORIGINS, Origin, digest, fetch
from transfuse.text import ConfigError, DataError

FILES = {"data/one.txt": b"first\n", "data/two.txt": b"second\n", "notes.txt": "größer\n".encode()}


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


SUMS = {name: sha(content) for name, content in FILES.items()}


def pack(folder: Path, members: dict[str, bytes], *, name: str = "toy") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for member, content in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TRANSFUSE_MIRROR", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def archives(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRANSFUSE_MIRROR", str(tmp_path / "mirror"))
    pack(tmp_path / "mirror", {f"toy/{name}": content for name, content in FILES.items()})
    return tmp_path / "mirror"


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


class TestArchives:
    def test_unpacks_every_byte(self, archives: Path) -> None:
        root = fetch("toy", SUMS)
        assert {name: (root / name).read_bytes() for name in FILES} == FILES

    def test_a_second_fetch_reads_neither_archive_nor_digests(
        self, archives: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = fetch("toy", SUMS)
        monkeypatch.setattr(mirror, "digest", lambda _: pytest.fail("read again"))
        assert fetch("toy", SUMS) == root

    def test_another_list_of_files_is_checked_again(self, archives: Path) -> None:
        fetch("toy", {"notes.txt": SUMS["notes.txt"]})
        with pytest.raises(DataError, match=r"one\.txt: is not the published file"):
            fetch("toy", {"data/one.txt": SUMS["notes.txt"]})

    def test_a_new_archive_of_the_same_name_is_unpacked_anew(self, archives: Path) -> None:
        fetch("toy", SUMS)
        pack(archives, {"toy/notes.txt": b"other"})
        assert (fetch("toy", {"notes.txt": sha(b"other")}) / "notes.txt").read_bytes() == b"other"

    def test_refuses_an_altered_file_each_time(self, archives: Path) -> None:
        pack(archives, {"toy/notes.txt": b"altered"})
        for _ in range(2):
            with pytest.raises(DataError, match=r"notes\.txt: is not the published file"):
                fetch("toy", {"notes.txt": SUMS["notes.txt"]})

    def test_says_which_file_is_missing(self, archives: Path) -> None:
        with pytest.raises(DataError, match=r"three\.txt: is missing"):
            fetch("toy", {**SUMS, "data/three.txt": sha(b"")})

    def test_folders_have_one_digest_for_all_their_files(self, archives: Path) -> None:
        lines = f"{SUMS['data/one.txt']}  one.txt\n{SUMS['data/two.txt']}  two.txt\n"
        root = fetch("toy", {"data/": sha(lines.encode())})
        (root / "data" / "two.txt").rename(root / "data" / "too.txt")
        assert digest(root / "data") != sha(lines.encode())

    def test_a_mirror_that_is_no_folder_is_the_users_mistake(
        self, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TRANSFUSE_MIRROR", str(tmp_path / "nowhere"))
        with pytest.raises(ConfigError, match="names no folder"):
            fetch("toy", SUMS)

    def test_a_cache_that_cannot_be_written_is_told(self, archives: Path, cache: Path) -> None:
        cache.write_text("a file where the folder should be")
        with pytest.raises(DataError, match="set TRANSFUSE_CACHE"):
            fetch("toy", SUMS)

    def test_a_cut_archive_leaves_nothing(self, archives: Path, cache: Path) -> None:
        path = archives / "toy.tar.xz"
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(DataError, match=r"toy\.tar\.xz: this archive cannot be read"):
            fetch("toy", SUMS)
        assert list((cache / "archives").iterdir()) == []

    @pytest.mark.parametrize(
        "member", ["../toy/evil.txt", "toy/../../evil.txt", "/etc/evil.txt", "other/evil.txt", "toy\\..\\evil.txt"]
    )
    def test_unsafe_paths_are_refused(self, archives: Path, cache: Path, member: str) -> None:
        pack(archives, {"toy/notes.txt": b"", member: b"evil"})
        with pytest.raises(DataError, match="unsafe path"):
            fetch("toy", {})
        assert not list(archives.parent.rglob("evil*"))
        assert list((cache / "archives").iterdir()) == []

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
    def test_links_and_devices_are_refused(self, archives: Path, cache: Path, kind: bytes) -> None:
        with tarfile.open(archives / "toy.tar.xz", "w:xz") as archive:
            info = tarfile.TarInfo("toy/link")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        with pytest.raises(DataError, match="neither file nor folder"):
            fetch("toy", {})
        assert list((cache / "archives").iterdir()) == []

    def test_an_archive_of_another_name_inside_is_refused(self, archives: Path) -> None:
        pack(archives, {})
        with pytest.raises(DataError, match="holds no folder toy/"):
            fetch("toy", {})

    def test_processes_at_once_end_with_one_cache(self, archives: Path, cache: Path) -> None:
        pack(archives, {f"toy/{number}": bytes([number]) * 2000 for number in range(200)})
        sums = {str(number): sha(bytes([number]) * 2000) for number in range(200)}
        with multiprocessing.get_context("spawn").Pool(3) as pool:
            roots = pool.starmap(fetch, [("toy", sums)] * 6)
        assert len(set(roots)) == 1
        assert files_in(roots[0]) == sorted(sums)
        assert [path for path in (cache / "archives").iterdir() if path != roots[0].parent] == []


@dataclass
class Server:
    """Serves bytes by path; ``cut`` ones promise more than they send."""

    content: dict[str, bytes]
    cut: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def server(cache: Path) -> Iterator[Server]:
    state = Server({f"/owner/toys/HEAD/base/{name}": content for name, content in FILES.items()})

    def reply(path: str) -> Reply:
        state.asked.append(path)
        content = state.content.get(path)
        if content is None:
            return 404, b"", {}
        return 200, content, {"Content-Length": str(len(content) + 100 * (path in state.cut))}

    with serving(reply) as state.address:
        yield state


def origin(server: Server, **more: object) -> Origin:
    return Origin("owner/toys", at="base/", host=server.address, packs=server.address, **more)  # type: ignore[arg-type]


class TestDownloads:
    def test_a_good_file_arrives_once(self, server: Server, cache: Path) -> None:
        for _ in range(2):
            root = fetch("toy", SUMS, [origin(server)])
        assert {name: (root / name).read_bytes() for name in FILES} == FILES
        assert len(server.asked) == len(FILES)
        assert [name for name in files_in(cache) if ".checked" not in name] == [
            f"downloads/toy/{name}" for name in sorted(FILES)
        ]

    @pytest.mark.parametrize("harm", ["altered", "truncated", "cut off", "missing"])
    def test_a_bad_file_is_refused_in_one_line_and_leaves_nothing(self, server: Server, cache: Path, harm: str) -> None:
        path = "/owner/toys/HEAD/base/notes.txt"
        match harm:
            case "altered":
                server.content[path] = server.content[path].replace(b"r", b"x")
            case "truncated":
                server.content[path] = server.content[path][:-1]
            case "cut off":
                server.cut.add(path)
            case "missing":
                del server.content[path]
        with pytest.raises(DataError) as caught:
            fetch("toy", {"notes.txt": SUMS["notes.txt"]}, [origin(server)])
        message = str(caught.value)
        assert message.startswith(f"{server.address}{path}: ")
        assert "TRANSFUSE_MIRROR" in message and "\n" not in message
        assert list((cache / "downloads").iterdir()) == []

    def test_after_a_bad_file_a_good_one_is_taken(self, server: Server) -> None:
        path = "/owner/toys/HEAD/base/notes.txt"
        server.content[path], good = b"bad", server.content[path]
        with pytest.raises(DataError):
            fetch("toy", SUMS, [origin(server)])
        server.content[path] = good
        assert (fetch("toy", SUMS, [origin(server)]) / "notes.txt").read_bytes() == good

    def test_offline_says_what_to_do(self, cache: Path) -> None:
        nowhere = Origin("owner/toys", host="http://127.0.0.1:9")
        with pytest.raises(DataError, match="connect to the network, or set TRANSFUSE_MIRROR"):
            fetch("toy", SUMS, [nowhere])
        assert files_in(cache) == []

    def test_what_lies_packed_at_its_origin_is_not_asked_for(self, server: Server) -> None:
        with pytest.raises(DataError, match=r"from github\.com/owner/toys\): set TRANSFUSE_MIRROR"):
            fetch("toy", SUMS, [origin(server, same_layout=False)])
        assert server.asked == []

    def test_an_archive_that_nobody_knows_is_told(self, cache: Path) -> None:
        with pytest.raises(DataError, match=r"set TRANSFUSE_MIRROR to a folder that holds nobody\.tar\.xz"):
            fetch("nobody", SUMS)

    def test_an_archive_that_the_mirror_lacks_is_downloaded(self, server: Server, archives: Path) -> None:
        (archives / "toy.tar.xz").unlink()
        assert fetch("toy", SUMS, [origin(server)]).parts[-2:] == ("downloads", "toy")

    def test_the_first_origin_that_holds_a_path_is_asked(self, server: Server) -> None:
        special = Origin("owner/toys", within="notes", at="elsewhere/notes", host=server.address)
        server.content["/owner/toys/HEAD/elsewhere/notes.txt"] = FILES["notes.txt"]
        fetch("toy", SUMS, [special, origin(server)])
        assert "/owner/toys/HEAD/elsewhere/notes.txt" in server.asked


class TestFolders:
    DIGEST = sha(f"{SUMS['data/one.txt']}  one.txt\n{SUMS['data/two.txt']}  two.txt\n".encode())

    def serve(self, server: Server, members: dict[str, bytes]) -> None:
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w") as packed:
            for name, content in members.items():
                packed.writestr(name, content)
        server.content["/owner/toys/zip/HEAD"] = whole.getvalue()

    def test_come_out_of_the_whole_repository(self, server: Server) -> None:
        self.serve(server, {f"toys-1/base/{name}": content for name, content in FILES.items()})
        root = fetch("toy", {"data/": self.DIGEST}, [origin(server)])
        assert files_in(root) == ["data/one.txt", "data/two.txt"]

    @pytest.mark.parametrize(
        ("members", "message"),
        [
            ({"toys-1/base/data/one.txt": b"first\n"}, "not the published folder"),
            ({"toys-1/base/data/../../../evil.txt": b""}, "unsafe path"),
        ],
    )
    def test_are_refused_when_they_are_not_the_published_ones(
        self, server: Server, cache: Path, members: dict[str, bytes], message: str
    ) -> None:
        self.serve(server, members)
        with pytest.raises(DataError, match=message):
            fetch("toy", {"data/": self.DIGEST}, [origin(server)])
        assert list((cache / "downloads").iterdir()) == []
        assert not list(cache.parent.rglob("evil*"))

    def test_are_refused_when_there_is_no_zip(self, server: Server) -> None:
        server.content["/owner/toys/zip/HEAD"] = b"no zip"
        with pytest.raises(DataError, match="no zip file"):
            fetch("toy", {"data/": self.DIGEST}, [origin(server)])


def test_addresses_are_quoted_and_begin_where_the_archive_says() -> None:
    path = "peoples-daily-example/example.dev"
    source = next(each for each in ORIGINS["zh-sighan-msra-partial"] if each.holds(path))
    assert source.address(path) == (
        "https://raw.githubusercontent.com/OYE93/Chinese-NLP-Corpus/HEAD/NER/People%27s%20Daily/example.dev"
    )
