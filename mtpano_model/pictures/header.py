"""The head and the end of encoded pictures, read before anything is decoded.

Decoders fill the missing part of a cut picture with grey, and allocate whatever size a header
claims; whether they notice differs between OpenCV's versions. So format, size and wholeness are
found here: JPEG after ITU-T T.81, annex B; PNG after RFC 2083, chapter 3; WebP after RFC 9649;
TIFF 6.0; BMP as Windows writes it. What lies behind the picture's own end is nobody's business.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mtpano_model.pictures.picture import BadPicture
from mtpano_model.pictures.shape import check_pixels
from mtpano_model.pictures.size import Size, size_text
from mtpano_model.pictures.tiff import ORIENTATION, as_stored, first_directory, orientation

FORMATS = "JPEG, PNG, WebP, TIFF or BMP"
_JPEG_START_OR_END = re.compile(rb"\xff[\xd8\xd9]")
_JPEG_SCAN, _JPEG_APP1 = 0xDA, 0xE1
# Every start-of-frame marker: 0xC0..0xCF but DHT, JPG and DAC.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Start-of-frame marker: the least bits of a block of 8x8 values. In a sequential picture (T.81,
# F.1.2) a block has a Huffman code for its mean and at least one more, such as "the rest is zero".
# In a progressive one (G.1.2) it has that of its mean. Arithmetic coding has no such bound.
_JPEG_BLOCK_BITS = {0xC0: 2, 0xC1: 2, 0xC2: 1}
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PNG_XMP = b"XML:com.adobe.xmp\0\0\0\0\0"
VIDEO_START = rb"\0\0\0?\x01[^\0]"  # of H.264 and H.265: an icon has a zero there
# regular expression for the first bytes, name
_FOREIGN = (
    (rb"GIF8", "GIF"),
    (rb"....ftyp(hei|hev)", "HEIC"),
    (rb"....ftyp(mif1|msf1)", "HEIF"),
    (rb"....ftypavi", "AVIF"),
    (
        rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ",
        "a video file (ffmpeg -i FILE %05d.jpg takes it apart)",
    ),
    (rb"\0\0\0\x0cjP  |\xffO\xffQ", "JPEG 2000"),
    (rb"\0\0\0\x0cJXL |\xff\n", "JPEG XL"),
    (rb"(II\+\0|MM\0\+)", "BigTIFF"),
    (rb"v/1\x01", "OpenEXR"),
    (rb"#\?R", "Radiance HDR"),
    (rb"P[1-7Ff]\s", "a picture of the PNM family"),
    (VIDEO_START, "an H.264 or H.265 video stream"),
    (rb"version https://git-lfs", "a pointer of Git LFS (git lfs pull brings the file)"),
    (rb"\s*<", "a web page or SVG"),
)


@dataclass(frozen=True)
class Header:
    """kind: JPEG, PNG, WebP, TIFF or BMP. size: (H, W). end: how many bytes belong to the picture.
    bits, channels: of a stored pixel, a palette counting as three channels. orientation: EXIF's,
    1 to 8. xmp: its XMP packet, may be empty. patches: (place, bytes) to overwrite, without which
    decoders would change the stored pixels."""

    kind: str
    size: Size
    end: int
    bits: int = 8
    channels: int = 3
    orientation: int = 1
    xmp: bytes = b""
    patches: tuple[tuple[int, bytes], ...] = ()


def read_header(data: bytes) -> Header:
    """The header of a whole picture; BadPicture where it is cut off, broken or something else."""
    for start, reader in _READERS:
        if data.startswith(start):
            try:
                return reader(data)
            except (struct.error, IndexError) as error:
                raise _cut() from error
    if not data:
        raise BadPicture("compressed", f"it is empty, expected a {FORMATS}")
    raise _foreign(data)


def _foreign(data: bytes) -> BadPicture:
    names = (name for begin, name in _FOREIGN if re.match(begin, data[:64], re.DOTALL))
    name = next(names, "")
    what = f"is {name}" if name else "begins like no picture"
    return BadPicture("compressed", f"it {what}, expected a {FORMATS}")


def _cut() -> BadPicture:
    return BadPicture("compressed", "it is cut off or damaged, expected a whole picture")


def _broken(kind: str, what: str) -> BadPicture:
    return BadPicture("compressed", f"{what}, expected a whole {kind}")


def _jpeg(data: bytes) -> Header:
    size, bits, channels, turned, xmp = None, 8, 3, 1, b""
    position, least = 2, 0
    while True:
        if data[position] != 0xFF:
            raise _broken("JPEG", "its header is broken")
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        begin, position = position + 4, position + 2 + length
        if marker in _JPEG_FRAMES:
            bits, height, width, channels = struct.unpack_from(">BHHB", data, begin)
            size = height, width
            samplings = data[begin + 7 : begin + 6 + 3 * channels : 3]
            least = -(-_JPEG_BLOCK_BITS.get(marker, 0) * _jpeg_blocks(size, samplings) // 8)
        elif marker == _JPEG_APP1 and data.startswith(b"Exif\0\0", begin):
            turned = orientation(data[begin:position])
        elif marker == _JPEG_APP1 and data.startswith(_XMP, begin):
            xmp = data[begin + len(_XMP) : position]
        elif marker == _JPEG_SCAN:
            break
    if size is None:
        raise _broken("JPEG", "its header names no size")
    # In a scan 0xFF is escaped, so the first end mark is the picture's own; another picture's
    # start before it means that this one was cut off.
    mark = _JPEG_START_OR_END.search(data, position)
    if mark is None or mark[0] != b"\xff\xd9":
        raise _broken("JPEG", "it is cut off: it has no end mark")
    check_pixels(size)
    if (stored := mark.start() - position) < least:
        what = f"it is cut off or damaged: {stored} bytes are too few for {size_text(size)} pixels"
        raise _broken("JPEG", what)
    return Header("JPEG", size, mark.end(), bits, channels, turned, xmp)


def _jpeg_blocks(size: Size, samplings: bytes) -> int:
    """Blocks of 8x8 values in all components; samplings: of each, across << 4 | down."""
    factors = [(one & 15, one >> 4) for one in samplings]
    most = [max(1, *along) for along in zip(*factors, strict=True)]
    return sum(
        math.prod(-(-n * f // (8 * m)) for n, f, m in zip(size, factor, most, strict=True))
        for factor in factors
    )


def _png(data: bytes) -> Header:
    if data[12:16] != b"IHDR":
        raise _broken("PNG", "its header is broken")
    width, height, bits, colors = struct.unpack_from(">IIBB", data, 16)
    turned, xmp, patches = 1, b"", []
    position, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, position)
        body, position = position + 8, position + 12 + length
        if position > len(data):
            raise _cut()
        if kind == b"eXIf":
            turned = orientation(data[body : position - 4])
        elif kind == b"iTXt" and data.startswith(_PNG_XMP, body):
            xmp = data[body + len(_PNG_XMP) : position - 4]
        elif kind == b"acTL":
            # An animation; the picture itself is what all readers show that know none.
            patches.append((body - 4, b"noTL"))
    channels = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}.get(colors, 3)
    return Header("PNG", (height, width), position, bits, channels, turned, xmp, tuple(patches))


def _webp(data: bytes) -> Header:
    (length,) = struct.unpack_from("<I", data, 4)
    end = 8 + length
    if len(data) >= 12 and data[8:12] != b"WEBP":
        raise _foreign(data)
    if len(data) < end:
        raise _cut()
    size, turned, xmp = None, 1, b""
    for kind, body in _riff_chunks(data[12:end]):
        if kind == b"VP8X":
            if body[0] & 2:
                raise _broken("WebP", "it is an animation")
            low, high, rows_low, rows_high = struct.unpack_from("<HBHB", body, 4)
            size = (rows_low | rows_high << 16) + 1, (low | high << 16) + 1
        elif kind == b"VP8 " and size is None:
            columns, rows = struct.unpack_from("<HH", body, 6)
            size = rows & 0x3FFF, columns & 0x3FFF
        elif kind == b"VP8L" and size is None:
            (packed,) = struct.unpack_from("<I", body, 1)
            size = (packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1
        elif kind == b"EXIF":
            turned = orientation(body)
        elif kind == b"XMP ":
            xmp = body
    if size is None:
        raise _broken("WebP", "its header names no size")
    return Header("WebP", size, end, orientation=turned, xmp=xmp)


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        if position + 8 + length > len(data):
            raise _cut()
        yield kind, data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _tiff(data: bytes) -> Header:
    tags = first_directory(data)
    if not {256, 257}.issubset(tags):
        raise _broken("TIFF", "its header names no size")
    offsets = tags.get(273) or tags.get(324) or ()  # strips or tiles
    lengths = tags.get(279) or tags.get(325) or ()
    ends = [offset + length for offset, length in zip(offsets, lengths, strict=False)]
    if not ends or max(ends) > len(data):
        raise _broken("TIFF", "it is cut off")
    bits, channels = tags.get(258, (1,))[0], tags.get(277, (1,))[0]
    if bits > 16 or tags.get(339, (1,))[0] not in (1, 4):
        raise BadPicture(
            "encoding",
            "its pixels are floating-point or signed numbers or of more than 16 bits, expected "
            "8 or 16 bits without a sign: convert (tone-map) it",
        )
    turned = tags.get(ORIENTATION, (1,))[0]
    xmp = bytes(tags[700]) if 700 in tags and max(tags[700], default=0) < 256 else b""
    size = tags[257][0], tags[256][0]
    patches = as_stored(data)
    return Header("TIFF", size, len(data), bits, 1 if channels < 3 else 3, turned, xmp, patches)


def _bmp(data: bytes) -> Header:
    begin, header = struct.unpack_from("<I", data, 10)[0], struct.unpack_from("<I", data, 14)[0]
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        packing = 0
    else:
        width, height, _, bits, packing = struct.unpack_from("<iiHHI", data, 18)
    size = abs(height), abs(width)
    rows = (size[1] * bits + 31) // 32 * 4 * size[0]
    if packing in (0, 3) and len(data) < begin + rows:
        raise _broken("BMP", "it is cut off")
    return Header("BMP", size, len(data))


_READERS: tuple[tuple[bytes, Callable[[bytes], Header]], ...] = (
    (b"\xff\xd8", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"RIFF", _webp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"BM", _bmp),
)
