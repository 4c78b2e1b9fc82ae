"""Download weights by name: resumable, verified by checksum, then moved into place. Nothing downloads by itself."""

import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import IO, Final
from urllib.parse import urldefrag, urljoin

import httpx

from workers.models.installed import altered_files
from workers.models.manifest import Download, ModelEntry, sha256_of

#: Called with the bytes received so far and the total.
DownloadProgress = Callable[[int, int], None]

_NPM: Final = "npm:"
_PUBLIC_NPM: Final = "https://registry.npmjs.org"
_PYPI: Final = "pypi:"
_PUBLIC_PYPI: Final = "https://pypi.org/simple"
_CHUNK: Final = 1 << 18
#: Seconds without a byte after which a download fails; its whole length has no limit.
_STALL_S: Final = 30.0


class FetchFailed(Exception):  # noqa: N818  (named for what happened)
    """The file could not be downloaded, or is not the one in the manifest; the message is the reason."""


def fetch(entry: ModelEntry, folder: Path, progress: DownloadProgress | None = None) -> Path:
    """Download a model into `folder` and return the path of its weights; an intact model is not downloaded again.

    An interrupted download resumes where it stopped. A file with another checksum is never moved into place.

    Raises:
        FetchFailed: the entry has no download, the server can't be reached, or the file has another checksum.
    """
    if entry.download is None:
        msg = f"{entry.name} can't be downloaded; {entry.command}"
        raise FetchFailed(msg)
    target = folder / entry.file
    if not altered_files(entry, target):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{entry.name}-{entry.download.sha256[:12]}.part"
    _receive(entry.download, part, progress or (lambda _have, _all: None))
    if sha256_of(part) != entry.download.sha256:
        part.unlink()
        msg = f"{entry.name}: the file from {entry.download.url} does not have the checksum of the manifest"
        raise FetchFailed(msg)
    target.parent.mkdir(parents=True, exist_ok=True)
    if entry.download.members:
        _unpack(part, entry.download, folder)
        part.unlink()
    else:
        part.replace(target)
    if altered := altered_files(entry, target):
        msg = f"{entry.name}: {', '.join(altered)} in the download does not have the checksum of the manifest"
        raise FetchFailed(msg)
    return target


def _receive(download: Download, part: Path, progress: DownloadProgress) -> None:
    have = part.stat().st_size if part.is_file() else 0
    if have > download.max_bytes:
        part.unlink()
        have = 0
    if have == download.bytes and not download.about:
        return
    url = _address(download.url)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with httpx.stream("GET", url, headers=headers, timeout=_STALL_S, follow_redirects=True) as answer:
            if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and have and download.about:
                return  # the file is complete already
            if answer.status_code not in {200, 206}:
                msg = f"{_shown(url)} answered {answer.status_code}"
                raise FetchFailed(msg)
            goes_on = answer.status_code == httpx.codes.PARTIAL_CONTENT
            have = have if goes_on else 0
            known = answer.headers.get("Content-Length")
            total = have + int(known) if download.about and known else download.bytes
            with part.open("ab" if goes_on else "wb") as file:
                for chunk in answer.iter_bytes(_CHUNK):
                    have += len(chunk)
                    if have > download.max_bytes:
                        msg = f"{_shown(url)} sends more than the {download.bytes} bytes that are expected"
                        raise FetchFailed(msg)
                    file.write(chunk)
                    progress(have, total)
    except httpx.HTTPError as error:
        msg = f"{_shown(url)} can't be read ({type(error).__name__}); the same command goes on where it stopped"
        raise FetchFailed(msg) from error
    if have < total:
        msg = f"{_shown(url)} ended after {have} of {total} bytes; the same command goes on where it stopped"
        raise FetchFailed(msg)


def _unpack(archive: Path, download: Download, folder: Path) -> None:
    """Extract the named members alone, to the manifest's paths: the archive chooses no path."""
    with _opened(archive, download.url) as content_of:
        for member, name in download.members:
            content = content_of(member)
            if content is None:
                msg = f"{archive.name} has no file {member}"
                raise FetchFailed(msg)
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh = target.with_name(f".{target.name}-new")
            with content, fresh.open("wb") as file:
                shutil.copyfileobj(content, file)
            fresh.replace(target)


@contextmanager
def _opened(archive: Path, url: str) -> Iterator[Callable[[str], IO[bytes] | None]]:
    """Open a .tgz, or a .whl by its address; yield what opens a member. Raises FetchFailed without that member."""
    try:
        if url.endswith(".whl"):
            with zipfile.ZipFile(archive) as wheel:
                yield wheel.open
        else:
            with tarfile.open(archive, "r:gz") as tar:
                yield tar.extractfile
    except KeyError as missing:
        msg = f"{archive.name} lacks a file: {missing.args[0]}"
        raise FetchFailed(msg) from missing


def _address(url: str) -> str:
    if url.startswith(_NPM):
        return f"{_npm_registry()}/{url.removeprefix(_NPM)}"
    if url.startswith(_PYPI):
        return _in_index(*url.removeprefix(_PYPI).split("/"))
    return url


def _in_index(package: str, file: str) -> str:
    """Address of a package's file, as the index lists it (PEP 503 or 691).

    Raises:
        FetchFailed: the index can't be read, or does not have the file.
    """
    named = (os.environ.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"))
    page = f"{(next(filter(None, named), None) or _PUBLIC_PYPI).rstrip('/')}/{package}/"
    try:
        answer = httpx.get(page, headers={"Accept": "text/html"}, timeout=_STALL_S, follow_redirects=True)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        msg = f"{_shown(page)} can't be read ({type(error).__name__})"
        raise FetchFailed(msg) from None  # httpx's own message has the address with its password
    links = _Links()
    with closing(links):
        links.feed(answer.text)
    for link in links.found:
        address = urldefrag(urljoin(str(answer.url), link)).url
        if address.endswith(f"/{file}"):
            return address
    msg = f"{_shown(page)} does not list {file}"
    raise FetchFailed(msg)


def _shown(address: str) -> str:
    """Return an address without the name and password of its user."""
    return str(httpx.URL(address).copy_with(userinfo=b""))


class _Links(HTMLParser):
    """Collect the addresses that a page links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _npm_registry() -> str:
    """The registry that npm would use: its environment variable, then the user's .npmrc, then the public one."""
    named = os.environ.get("npm_config_registry") or os.environ.get("NPM_CONFIG_REGISTRY")  # noqa: SIM112  (npm's own)
    settings = Path.home() / ".npmrc"
    if not named and settings.is_file():
        lines = (line.partition("=") for line in settings.read_text("utf-8").splitlines())
        named = next((value.strip() for name, _, value in lines if name.strip() == "registry"), None)
    return (named or _PUBLIC_NPM).rstrip("/")
