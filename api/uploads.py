"""Uploads: the bytes of a clip go to the store as they arrive, checked, counted and hashed on the way."""

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.bodies import FORM_BYTES
from api.parameters import TAKES, repeated, shown
from api.problems import BadParameter, StoreAway, UnsupportedMedia, UploadTooLarge
from shared.clips.encryption import ClipKey
from shared.clips.first_bytes import HEAD_BYTES, ClipFormats, NotAClip, container_of
from shared.clips.store import ClipStore, ClipWriter, StoreUnavailableError

#: Form fields that may carry the clip; the second and third are older front ends'.
CLIP_FIELDS: Final = ("clip", "video", "file")
#: The other form fields; each may be sent once.
OPTION_FIELDS: Final = ("vitals", "retain_clip", "webhook_url")
#: Longest other form field.
FIELD_BYTES: Final = 4096
#: Bytes gathered before the store is called: crossing into it costs more than copying.
GATHER_BYTES: Final = 1 << 17


@dataclass
class Upload:
    """The form fields beside a stored clip, its size in bytes, and its digest where one was requested."""

    sha256: str | None
    size: int
    fields: dict[str, str] = field(default_factory=dict)


class _Preamble:
    """Drops what precedes the first boundary of a multipart body (RFC 2046, section 5.1.1)."""

    def __init__(self, boundary: bytes) -> None:
        self._first = re.compile(rb"\A[\r\n]*--%b(?=\r\n|--)" % re.escape(boundary))
        self._later = re.compile(rb"\r\n--%b(?=\r\n|--)" % re.escape(boundary))
        self._longest = len(boundary) + 6
        self._at_start, self._ended = True, False
        self._pending = b""

    def after(self, data: bytes) -> bytes:
        """Return what follows the preamble in the next piece of the body, from the boundary on."""
        if self._ended:
            return data
        self._pending += data
        found = (self._at_start and self._first.search(self._pending)) or self._later.search(self._pending)
        if found:
            self._ended = True
            return self._pending[found.start() :]
        if len(self._pending) > self._longest:
            self._at_start = self._at_start and not self._pending.strip(b"\r\n")
            self._pending = self._pending[-self._longest :]
        return b""


class _Form:
    """Splits a multipart body into the clip's bytes and the other fields."""

    def __init__(self, boundary: bytes) -> None:
        self.fields: dict[str, str] = {}
        self.clip_seen = False
        self.ended = False
        self._beside_the_clip = 0
        self._chunks: list[bytes] = []
        self._header = [b"", b""]
        self._headers: dict[bytes, bytes] = {}
        self._name: str | None = None
        self._value = b""
        self._preamble = _Preamble(boundary)
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._add_header(0, data[start:end]),
                "on_header_value": lambda data, start, end: self._add_header(1, data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_data,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._finish,
            },
        )

    def feed(self, data: bytes) -> list[bytes]:
        """Parse a piece of the body; return the clip's bytes in it.

        Raises:
            python_multipart.exceptions.FormParserError: the body is not a form.
            BadParameter: a field is unknown, too long or repeated.
            UploadTooLarge: everything but the clip is larger than `FORM_BYTES`.
        """
        if rest := self._preamble.after(data):
            self._parser.write(rest)
        chunks, self._chunks = self._chunks, []
        # Boundaries, headers, preamble and epilogue count as well; the parser skips them.
        self._beside_the_clip += len(data) - sum(map(len, chunks))
        if self._beside_the_clip > FORM_BYTES:
            raise UploadTooLarge(f"A form may have {FORM_BYTES} bytes besides its clip.")
        return chunks

    def _begin(self) -> None:
        self._headers, self._name, self._value = {}, None, b""

    def _add_header(self, part: int, data: bytes) -> None:
        self._header[part] += data

    def _end_header(self) -> None:
        self._headers[self._header[0].lower()] = self._header[1]
        self._header = [b"", b""]

    def _begin_data(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._name in CLIP_FIELDS:
            if self.clip_seen:
                raise BadParameter("The form has more than one clip. It may have one.")
            self.clip_seen = True
        elif self._name not in OPTION_FIELDS:
            known = ", ".join((*CLIP_FIELDS, *OPTION_FIELDS))
            raise BadParameter(f"{shown(self._name)} is not a field of this form. It takes: {known}.")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name in CLIP_FIELDS:
            self._chunks.append(data[start:end])
        else:
            self._value += data[start:end]
            if len(self._value) > FIELD_BYTES:
                value = shown(self._value.decode("utf-8", "replace"))
                takes = TAKES[self._name] if self._name else ""
                raise BadParameter(f"{value} is longer than {FIELD_BYTES} bytes. {takes}")

    def _end(self) -> None:
        if self._name and self._name not in CLIP_FIELDS:
            value = self._value.decode("utf-8", "replace")
            if self._name in self.fields:
                raise repeated(self._name, [self.fields[self._name], value])
            self.fields[self._name] = value

    def _finish(self) -> None:
        self.ended = True


def _form_of(request: Request) -> _Form | None:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        return None
    try:
        return _Form(options[b"boundary"])
    except (KeyError, FormParserError) as error:
        raise BadParameter(
            "`Content-Type` is multipart/form-data without a valid boundary. It takes one, or video/mp4 and a raw body."
        ) from error


async def _clip_bytes(request: Request, form: _Form | None) -> AsyncIterator[bytes]:
    async for data in request.stream():
        if not data:
            continue
        if form is None:
            yield data
            continue
        try:
            chunks = form.feed(data)
        except FormParserError as error:
            raise BadParameter("The multipart body is malformed. Send the clip in the form field 'clip'.") from error
        for chunk in chunks:
            yield chunk


class _Intake:
    """Counts and hashes a clip's bytes, and passes them to the store in chunks of `GATHER_BYTES`."""

    def __init__(self, out: ClipWriter, too_large: UploadTooLarge, max_bytes: int, *, hashed: bool) -> None:
        self._out, self._too_large, self._max_bytes = out, too_large, max_bytes
        self._digest = hashlib.sha256() if hashed else None
        self._gathered: list[bytes] = []
        self._waiting = 0
        self.size = 0

    async def take(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._waiting += len(chunk)
        if self.size > self._max_bytes:
            raise self._too_large
        self._gathered.append(chunk)
        if self._waiting >= GATHER_BYTES:
            await self.flush()

    async def flush(self) -> None:
        chunks, self._gathered, self._waiting = self._gathered, [], 0
        if self._digest is not None:
            for chunk in chunks:
                self._digest.update(chunk)
        await self._out.write(chunks)

    @property
    def sha256(self) -> str | None:
        return self._digest.hexdigest() if self._digest is not None else None


async def receive(
    request: Request,
    store: ClipStore,
    key: str,
    max_bytes: int,
    *,
    hashed: bool,
    encryption_key: ClipKey | None = None,
    formats: ClipFormats = ClipFormats.WEB,
) -> Upload:
    """Store the request's clip under `key`, encrypted with `encryption_key` if given. On an error nothing is stored.

    Raises:
        UploadTooLarge: more than `max_bytes`, or `FORM_BYTES` beside them.
        UnsupportedMedia: not a clip of `formats` by its first bytes, or empty.
        BadParameter: the form is malformed, has no clip, or has a field that is unknown, invalid or repeated.
        StoreAway: the store refused.
    """
    too_large = UploadTooLarge(
        f"The gateway accepts clips of at most {max_bytes / 1e6:.0f} MB. Record 15 s at 640x480, or lower the bitrate."
    )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes + FORM_BYTES:
        raise too_large
    form = _form_of(request)
    head = b""
    stream = _clip_bytes(request, form)
    async for chunk in stream:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    if form is not None and not form.clip_seen:
        raise BadParameter("The form has no field 'clip'. Send the clip in it, or as the raw body.")
    try:
        container_of(head, formats)
    except NotAClip as refused:
        raise UnsupportedMedia(str(refused)) from refused
    try:
        async with store.writing(key, encryption_key) as out:
            intake = _Intake(out, too_large, max_bytes, hashed=hashed)
            await intake.take(head)
            async for chunk in stream:
                await intake.take(chunk)
            await intake.flush()
            if form is not None and not form.ended:
                raise BadParameter("The multipart body ended before its last boundary. Send it again.")
    except StoreUnavailableError as error:
        raise StoreAway("The clip was not accepted. Try again later.", headers={"Retry-After": "30"}) from error
    return Upload(sha256=intake.sha256, size=intake.size, fields=form.fields if form else {})
