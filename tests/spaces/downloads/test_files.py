"""Downloads from a local server: resumed, limited, checked, and once for several processes."""

import hashlib
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spaces.downloads import Download, download, files, has_hash, requests
from spaces.errors import DownloadError
from tests.tools import file_server
from tests.tools.file_server import FileServer, serve_file

ROOT = Path(__file__).parents[3]
CONTENT = bytes(range(256)) * 40
MD5 = hashlib.md5(CONTENT).hexdigest()
N = len(CONTENT)
Want = Callable[..., Download]


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serve_file(CONTENT) as running:
        yield running


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between connections, which take no time."""
    waited: list[float] = []
    monkeypatch.setattr(files, "sleep", waited.append)
    return waited


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def want(server: FileServer, tmp_path: Path, said: list[str]) -> Want:
    """Make a download of the server's file."""

    def make(**changes: Any) -> Download:
        values = {
            "url": f"{server.url}/file.bin",
            "path": tmp_path / "file.bin",
            "is_intact": lambda path: has_hash(path, MD5),
            "max_bytes": 2 * N,
            "say": said.append,
            **changes,
        }
        return Download(**values)

    return make


def names(folder: Path) -> list[str]:
    return sorted(it.name for it in folder.iterdir() if not it.name.startswith("."))


def test_file_is_downloaded_once(server: FileServer, want: Want, tmp_path: Path) -> None:
    assert download(want())
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert not download(want())
    assert server.paths == ["/file.bin"]
    assert names(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_hash_of_either_kind_is_compared(tmp_path: Path, algorithm: str) -> None:
    path = tmp_path / "file.bin"
    digest = hashlib.new(algorithm, CONTENT).hexdigest()
    assert not has_hash(path, digest)
    path.write_bytes(CONTENT)
    assert has_hash(path, digest.upper())
    path.write_bytes(CONTENT[:-1])
    assert not has_hash(path, digest)


def test_progress_reaches_the_total(want: Want) -> None:
    calls: list[tuple[int, int, str]] = []
    download(want(progress=lambda *call: calls.append(call)))
    assert calls[-1] == (N, N, "download")


def test_connection_that_is_cut_is_continued(
    server: FileServer, want: Want, waits: list[float]
) -> None:
    server.answers = [file_server.cut_after(1000), file_server.cut_after(2000)]
    assert download(want())
    assert server.ranges == [None, "bytes=1000-", "bytes=3000-"]
    assert want().path.read_bytes() == CONTENT
    assert waits == [1.0, 2.0]


def test_part_of_an_earlier_download_is_continued(server: FileServer, want: Want) -> None:
    want().part.write_bytes(CONTENT[:4000])
    assert download(want())
    assert server.ranges == ["bytes=4000-"]


def test_server_without_ranges_starts_anew(server: FileServer, want: Want) -> None:
    server.answers = [file_server.cut_after(1000), file_server.without_ranges]
    assert download(want())
    assert server.ranges == [None, "bytes=1000-"]
    assert want().path.read_bytes() == CONTENT


def test_part_that_begins_elsewhere_is_not_appended(server: FileServer, want: Want) -> None:
    elsewhere = file_server.status(206, Content_Range=f"bytes 500-{N - 1}/{N}")
    server.answers = [file_server.cut_after(1000), elsewhere]
    assert download(want())
    assert server.ranges == [None, "bytes=1000-", None]


def test_part_that_is_whole_already_needs_no_bytes(server: FileServer, want: Want) -> None:
    want().part.write_bytes(CONTENT)
    assert download(want())
    assert server.ranges == [f"bytes={N}-"]


@pytest.mark.parametrize("part", [b"x" * 1000, b"x" * (N + 5)], ids=["shorter", "longer"])
def test_part_of_another_file_is_replaced(want: Want, part: bytes) -> None:
    want().part.write_bytes(part)
    assert download(want())
    assert want().path.read_bytes() == CONTENT


@pytest.mark.parametrize("has_part", [False, True])
def test_another_file_is_refused_and_deleted(
    server: FileServer, want: Want, tmp_path: Path, has_part: bool
) -> None:
    server.content = CONTENT[::-1]
    if has_part:
        want().part.write_bytes(CONTENT[:1000])
    with pytest.raises(DownloadError, match=r"another file, by its checksum.* was deleted"):
        download(want())
    assert names(tmp_path) == []
    assert server.ranges[-1] is None


def test_damaged_file_is_replaced_and_else_kept(server: FileServer, want: Want) -> None:
    want().path.write_bytes(CONTENT[:100])
    server.answers = [file_server.status(404)]
    with pytest.raises(DownloadError):
        download(want())
    assert want().path.read_bytes() == CONTENT[:100]
    assert download(want())
    assert want().path.read_bytes() == CONTENT


@pytest.mark.parametrize("code", [403, 404, 410])
def test_missing_file_is_said_at_once(server: FileServer, want: Want, code: int) -> None:
    server.answers = [file_server.status(code)]
    with pytest.raises(DownloadError, match=f"the server answered {code} "):
        download(want())
    assert len(server.paths) == 1


@pytest.mark.parametrize(
    ("asked", "waited"), [(None, 1.0), ("7", 7.0), ("86400", 60.0), ("soon", 1.0), ("-5", 1.0)]
)
def test_busy_server_is_asked_again(
    server: FileServer, want: Want, waits: list[float], asked: str | None, waited: float
) -> None:
    headers = {} if asked is None else {"Retry_After": asked}
    server.answers = [file_server.status(503, **headers)]
    assert download(want())
    assert waits == [waited]


def test_dropped_connections_have_a_limit(
    server: FileServer, want: Want, said: list[str], waits: list[float]
) -> None:
    n_tries = len(files.WAITS_S) + 1
    server.answers = [file_server.cut_after(100)] * n_tries
    expected = r"cut after 800 bytes of 10\.2 kB; 800 bytes are kept"
    with pytest.raises(DownloadError, match=expected):
        download(want())
    assert len(server.paths) == n_tries
    assert waits == list(files.WAITS_S)
    assert "trying again in 30 s" in said[-1]
    assert want().part.read_bytes() == CONTENT[: n_tries * 100]
    assert download(want())
    assert server.ranges[-1] == f"bytes={n_tries * 100}-"


def test_connection_without_an_answer_is_made_again(server: FileServer, want: Want) -> None:
    server.answers = [file_server.drop]
    assert download(want())


def test_missing_server_is_said_at_once(want: Want, waits: list[float]) -> None:
    with pytest.raises(DownloadError, match="no connection: Connection refused"):
        download(want(url="http://127.0.0.1:9/file.bin"))
    assert waits == []


def test_silent_server_is_left(
    server: FileServer, want: Want, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "TIMEOUT_S", 0.1)
    server.answers = [file_server.silent_after(0)]
    with pytest.raises(DownloadError, match=r"the server did not answer within 0\.1 s"):
        download(want())
    assert len(server.paths) == 1


def test_server_that_falls_silent_is_asked_for_the_rest(
    server: FileServer, want: Want, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "TIMEOUT_S", 0.1)
    server.answers = [file_server.silent_after(3000)]
    assert download(want())
    assert server.ranges == [None, "bytes=3000-"]
    assert "The server sent nothing for 0.1 s" in said[-1]


def test_slow_server_is_asked_for_the_rest(
    server: FileServer, want: Want, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SLOW_S", 0.1)
    server.answers = [file_server.drip]
    assert download(want())
    assert "The server sent less than 61.4 kB in 0.1 s" in said[-1]
    assert len(server.ranges) == 2


def test_file_that_is_announced_too_large_is_refused(server: FileServer, want: Want) -> None:
    with pytest.raises(DownloadError, match=r"announces 10\.2 kB, .* at most 10\.0 kB"):
        download(want(max_bytes=10_000))
    assert names(want().path.parent) == []


def test_server_that_does_not_end_is_left(server: FileServer, want: Want) -> None:
    server.answers = [file_server.endless]
    with pytest.raises(DownloadError, match=r"sends more than 20\.5 kB"):
        download(want())
    assert names(want().path.parent) == []


def test_file_without_an_announced_size_is_received(server: FileServer, want: Want) -> None:
    def unannounced(handler: Any) -> None:
        handler.head(200)
        handler.wfile.write(CONTENT)

    server.answers = [unannounced]
    assert download(want())


def test_redirect_is_followed_for_the_rest_too(server: FileServer, want: Want) -> None:
    server.answers = [file_server.status(302, Location=f"{server.url}/elsewhere")]
    want().part.write_bytes(CONTENT[:5000])
    assert download(want())
    assert server.paths == ["/file.bin", "/elsewhere"]
    assert server.ranges == ["bytes=5000-"] * 2


@pytest.mark.parametrize(
    "place", ["file:///etc/passwd", "ftp://127.0.0.1/file.bin", "data:,x", "gopher://h/"]
)
def test_redirect_to_anything_but_a_web_server_is_refused(
    server: FileServer, want: Want, tmp_path: Path, place: str
) -> None:
    server.answers = [file_server.status(302, Location=place)]
    with pytest.raises(DownloadError, match=f"redirects to '{place}', which is not followed"):
        download(want())
    assert not (tmp_path / "file.bin").exists()


def test_redirects_in_a_circle_are_refused(server: FileServer, want: Want) -> None:
    server.answers = [file_server.status(302, Location=f"{server.url}/file.bin")] * 50
    with pytest.raises(DownloadError, match="redirects to"):
        download(want())
    assert len(server.paths) < 20


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://127.0.0.1/a", "data:,a", "a.bin", "", "https://",
        "http://user:password@127.0.0.1/a", "http://[::1", "http://127.0.0.1:x/a",
    ],
)  # fmt: skip
def test_other_addresses_than_those_of_web_servers_are_refused(want: Want, url: str) -> None:
    with pytest.raises(DownloadError, match="expected an address such as https://HOST"):
        download(want(url=url))


def test_full_disk_is_said_before_anything_comes(
    want: Want, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = files.shutil.disk_usage("/")._replace(free=5000)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=r"10\.2 kB are needed in .*, and 5\.0 kB are free"):
        download(want())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_disk_that_fills_up_is_an_error(want: Want) -> None:
    want().part.symlink_to("/dev/full")
    with pytest.raises(DownloadError, match=r"cannot write to .*: No space left on device"):
        download(want())


def test_missing_folder_is_an_error_of_the_system(want: Want, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        download(want(path=tmp_path / "nowhere" / "file.bin"))


def test_all_files_have_the_rights_that_are_given(want: Want, server: FileServer) -> None:
    server.answers = [file_server.cut_after(100), file_server.status(404)]
    with pytest.raises(DownloadError):
        download(want(rights=0o600))
    made = list(want().path.parent.iterdir())
    assert len(made) == 2
    assert {stat.S_IMODE(it.stat().st_mode) for it in made} == {0o600}


PROCESS = """
import sys
from pathlib import Path
from spaces.downloads import Download, download, files, has_hash
files.LOCK_WAIT_S = 0.05
url, path, md5 = sys.argv[1:]
say = lambda text: print(text, flush=True)
wanted = Download(url, Path(path), lambda it: has_hash(it, md5), 10**6, say=say)
print(download(wanted), flush=True)
"""


def test_two_processes_download_once(server: FileServer, tmp_path: Path) -> None:
    server.answers = [file_server.held_back]
    path = tmp_path / "file.bin"
    command = [sys.executable, "-c", PROCESS, f"{server.url}/file.bin", str(path), MD5]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    firsts = [it.stdout.readline() for it in processes if it.stdout]
    assert sorted(it.split()[0] for it in firsts) == ["Downloading", "Waiting"]
    server.released.set()
    lasts = [it.communicate(timeout=60)[0].splitlines()[-1] for it in processes]
    assert sorted(lasts) == ["False", "True"]
    assert server.paths == ["/file.bin"]
    assert path.read_bytes() == CONTENT
