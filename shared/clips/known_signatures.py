"""First bytes of files that are no clips, and what each kind is called."""

from typing import Final

#: Major brands of still pictures and picture sequences (ISO/IEC 23008-12 and its derivatives).
PICTURE_BRANDS: Final = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIC"),
    **dict.fromkeys((b"mif1", b"mif2", b"msf1", b"miaf"), "HEIF"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"jp2 ", b"jpx ", b"jpm "), "JPEG 2000"),
    b"crx ": "Canon raw",
}
#: Major brands of files with audio only.
AUDIO_BRANDS: Final = frozenset({b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "})


def _picture(name: str) -> str:
    return f"The file is a picture ({name}), not a video."


def _audio(name: str) -> str:
    return f"The file contains audio only ({name}). Record the face as video."


def _video(name: str) -> str:
    return f"The file is a video in {name}, a container that is not accepted."


def _packed(name: str) -> str:
    return f"The file is compressed ({name}). Send the video itself, uncompressed."


#: Offset, bytes, and a sentence that names the kind. The first match decides.
SIGNATURES: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\xff\xd8\xff", _picture("JPEG")),
    (0, b"\x89PNG\r\n\x1a\n", _picture("PNG")),
    (0, b"GIF8", _picture("GIF")),
    (8, b"WEBP", _picture("WebP")),
    (4, b"jP  ", _picture("JPEG 2000")),
    (4, b"JXL ", _picture("JPEG XL")),
    (0, b"\xff\x0a", _picture("JPEG XL")),
    (0, b"II*\0", _picture("TIFF")),
    (0, b"MM\0*", _picture("TIFF")),
    (0, b"ID3", _audio("MP3")),
    *((0, b"\xff" + bytes([second]), _audio("MP3")) for second in (0xFB, 0xFA, 0xF3, 0xF2)),
    *((0, b"\xff" + bytes([second]), _audio("AAC")) for second in (0xF1, 0xF9)),
    (8, b"WAVE", _audio("WAV")),
    (0, b"fLaC", _audio("FLAC")),
    (0, b"#!AMR", _audio("AMR")),
    (0, b"caff", _audio("CAF")),
    (8, b"AIFF", _audio("AIFF")),
    *((28, kind, _audio("Ogg")) for kind in (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")),
    (0, b"OggS", _video("Ogg")),
    (0, b"FLV\x01", _video("FLV")),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _video("ASF (WMV)")),
    (0, b"\0\0\x01\xba", _video("MPEG-PS")),
    (0, b"\0\0\x01\xb3", _video("an MPEG elementary stream")),
    (0, b"\x06\x0e\x2b\x34", _video("MXF")),
    (0, b".RMF", _video("RealMedia")),
    (0, b"DKIF", _video("IVF")),
    (0, b"nut/multimedia container", _video("NUT")),
    *((0, kind, _video("SWF")) for kind in (b"FWS", b"CWS", b"ZWS")),
    (0, b"\0\0\0\x01", _video("an elementary stream (H.264 or HEVC)")),
    (0, b"\0\0\x01", _video("an elementary stream (H.264 or HEVC)")),
    (0, b"\x1f\x8b", _packed("gzip")),
    (0, b"PK\x03\x04", _packed("zip")),
    (0, b"\x28\xb5\x2f\xfd", _packed("zstd")),
    (0, b"BZh", _packed("bzip2")),
    (0, b"\xfd7zXZ\0", _packed("xz")),
    (0, b"7z\xbc\xaf\x27\x1c", _packed("7z")),
    (0, b"Rar!", _packed("rar")),
    (0, b"%PDF-", "The file is a PDF document, not a video."),
)
