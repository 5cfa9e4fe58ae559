"""Pictures as cameras, phones and dying disks leave them, byte by byte, and what they show."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
from damaged_pictures import oversized_png

HEIGHT, WIDTH = 64, 128


def scene(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """RGB that is smooth, and different in every direction and channel."""
    rows, columns = np.mgrid[:height, :width]
    planes = [columns * 254 // width, rows * 255 // height, 255 - rows * 200 // height]
    return np.stack(planes, -1).astype(np.uint8)


def encoded(kind: str, picture: np.ndarray | None = None, *options: int) -> bytes:
    picture = scene() if picture is None else picture
    bgr = picture[..., ::-1] if picture.ndim == 3 and picture.shape[2] == 3 else picture
    done, data = cv2.imencode(f".{kind}", np.ascontiguousarray(bgr), options)
    assert done
    return data.tobytes()


JPEG, PNG = encoded("jpg"), encoded("png")


def exif(orientation: int) -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x112, 3, 1, orientation, 0, 0)


def with_segment(payload: bytes, jpeg: bytes = JPEG) -> bytes:
    """The JPEG with an APP1 segment."""
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]


def turned_jpeg(orientation: int) -> bytes:
    return with_segment(b"Exif\0\0" + exif(orientation))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def turned_png(orientation: int) -> bytes:
    return PNG[:33] + chunk(b"eXIf", exif(orientation)) + PNG[33:]


def xmp(properties: str) -> bytes:
    packet = (
        f'<rdf:Description xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" {properties}/>'
    )
    return b"http://ns.adobe.com/xap/1.0/\0" + packet.encode()


def with_alpha() -> bytes:
    alpha = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 1), np.uint8)
    return encoded("png", np.concatenate([scene()[..., ::-1], alpha], -1))


def bmp_claiming(height: int, width: int) -> bytes:
    return struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, width, height, 1, 24, 1,
                       0, 0, 0, 0, 0)  # fmt: skip


def jpeg_claiming(height: int, width: int, jpeg: bytes = JPEG) -> bytes:
    at = max(jpeg.find(b"\xff\xc0\0"), jpeg.find(b"\xff\xc2\0"))
    return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]


def webp_claiming(height: int, width: int) -> bytes:
    body = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    riff = b"WEBPVP8X" + struct.pack("<I", 10) + body
    return b"RIFF" + struct.pack("<I", len(riff)) + riff


def tiff(*tags: tuple[int, int], samples: int = 3) -> bytes:
    """scene() as a TIFF without compression; a fourth sample is noise. tags: (number, value)."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, samples - 3), np.uint8)
    data = np.concatenate([scene(), noise], -1).tobytes()
    entries = {256: WIDTH, 257: HEIGHT, 258: 8, 259: 1, 262: 2, 277: samples, 278: HEIGHT,
               279: len(data), **dict(tags)}  # fmt: skip
    end = 8 + 2 + 12 * (len(entries) + 1) + 4
    entries[273] = end + 2 * samples
    directory = b"".join(
        struct.pack("<HHII", tag, 3, samples, end) if tag == 258
        else struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, value)
        for tag, value in sorted(entries.items())
    )  # fmt: skip
    bits = struct.pack(f"<{samples}H", *[entries[258]] * samples)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + directory + bytes(4) + bits + data


def animated_png() -> bytes:
    """An animation whose own picture, which plain readers show, is no part of it."""
    control = struct.pack(">IIIIIHHBB", 0, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0)
    other = encoded("png", 255 - scene())
    pixels = other[other.index(b"IDAT") + 4 : -16]
    frame = chunk(b"fcTL", control) + chunk(b"fdAT", struct.pack(">I", 1) + pixels)
    start = PNG[:33] + chunk(b"acTL", struct.pack(">II", 1, 0)) + PNG[33:-12]
    return start + frame + PNG[-12:]


# Each made a search of the packet take longer than anybody waits.
HOSTILE_XMP = ("GPano:A>" + " " * 60000, ("GPano:A>" + " " * 100) * 500, "GPano:A>" * 8000,
               "GPano:A" * 9000, "GPano:A='" * 7000)  # fmt: skip
TRAILER = b"\xff\xda" + bytes(500) + b"\xff\xd9" + bytes(range(256)) * 4 + b"\xff\xda" + bytes(99)
# name: (bytes, how far a value may be off): all show scene(), as stored
WHOLE: dict[str, tuple[Callable[[], bytes], int]] = {
    "jpeg": (lambda: JPEG, 12),
    "jpeg progressive": (lambda: encoded("jpg", None, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), 12),
    "jpeg restart marks": (lambda: encoded("jpg", None, cv2.IMWRITE_JPEG_RST_INTERVAL, 2), 12),
    **{f"jpeg exif {o}": (lambda o=o: turned_jpeg(o), 12) for o in range(1, 9)},
    "jpeg with a trailer": (lambda: JPEG + TRAILER, 12),
    "jpeg with zeros and a video": (lambda: JPEG + bytes(900) + b"\0\0\0\x18ftypmp42", 12),
    "jpeg with a second picture": (lambda: JPEG + encoded("jpg", 255 - scene()), 12),
    "jpeg with a thumbnail": (lambda: with_segment(b"Exif\0\0" + exif(1) + JPEG), 12),
    **{f"jpeg with hostile xmp {n}": (lambda x=x: with_segment(xmp(x)), 12)
       for n, x in enumerate(HOSTILE_XMP)},
    "png": (lambda: PNG, 0),
    "png animated": (animated_png, 0),
    "png exif 3": (lambda: turned_png(3), 0),
    "png exif 6": (lambda: turned_png(6), 0),
    "png with a trailer": (lambda: PNG + bytes(100), 0),
    "png with alpha": (with_alpha, 0),
    "png of 16 bits": (lambda: encoded("png", scene().astype(np.uint16) * 256 + 100), 1),
    "webp": (lambda: encoded("webp", None, cv2.IMWRITE_WEBP_QUALITY, 101), 0),
    "webp with a trailer": (
        lambda: encoded("webp", None, cv2.IMWRITE_WEBP_QUALITY, 101) + bytes(100), 0
    ),
    "tiff": (lambda: encoded("tiff"), 0),
    "tiff of 16 bits": (lambda: encoded("tiff", scene().astype(np.uint16) * 256 + 100), 1),
    **{f"tiff exif {o}": (lambda o=o: tiff((274, o)), 0) for o in range(1, 9)},
    **{f"tiff with alpha of kind {k}": (lambda k=k: tiff((338, k), samples=4), 0)
       for k in range(3)},
    "bmp": (lambda: encoded("bmp"), 0),
}  # fmt: skip
# name: (bytes, a word of the reason); every door refuses these
BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "empty"),
    "text": (lambda: b"no picture at all", "begins like no picture"),
    "gif": (lambda: b"GIF89a" + bytes(99), "is GIF"),
    **{name: (lambda start=start: start + bytes(99), f"is {name}") for name, start in (
        ("HEIC", b"\0\0\0\x18ftypheic"), ("HEIC", b"\0\0\0\x18ftyphevc"),
        ("HEIF", b"\0\0\0\x18ftypmif1"), ("AVIF", b"\0\0\0\x1cftypavif"),
        ("AVIF", b"\0\0\0\x1cftypavis"), ("a video file", b"\0\0\0\x18ftypmp42"),
        ("a video file", b"RIFF\x99\0\0\0AVI LIST"), ("JPEG 2000", b"\xff\x4f\xff\x51"),
        ("JPEG XL", b"\xff\x0a"), ("JPEG XL", b"\0\0\0\x0cJXL \r\n\x87\n"),
        ("BigTIFF", b"II+\0\x08"), ("BigTIFF", b"MM\0+\0\x08"),
        ("a web page", b"\n<!DOCTYPE html>"),
        ("a picture of the PNM family", b"P6\n128 64"), ("OpenEXR", b"v/1\x01"),
        ("Radiance HDR", b"#?RADIANCE"), ("a pointer of Git LFS", b"version https://git-lfs"),
    )},
    "icon": (lambda: b"\0\0\1\0\1\0" + bytes(99), "begins like no picture"),
    "sound": (lambda: b"RIFF\x99\0\0\0WAVEfmt " + bytes(99), "begins like no picture"),
    "webp of a short header": (lambda: b"RIFF\x10\0\0\0WEBPVP8X\3\0\0\0abc\0", "cut off"),
    "tiff of 32 bits": (lambda: tiff((258, 32)), "more than 16 bits"),
    "tiff of signed numbers": (lambda: tiff((339, 2)), "signed"),
    "tiff of floats": (lambda: tiff((339, 3)), "floating-point"),
    "tiff of an odd compression": (lambda: tiff((259, 34925)), "unusual kind of TIFF"),
    **{f"jpeg cut at {p} %": (lambda p=p: JPEG[: len(JPEG) * p // 100], "cut off")
       for p in (1, 5, 50, 90, 99)},
    "jpeg without its end mark": (lambda: JPEG[:-2], "cut off"),
    "jpeg cut and padded": (lambda: JPEG[: len(JPEG) * 9 // 10] + bytes(500), "cut off"),
    "jpeg cut before the next": (lambda: JPEG[: len(JPEG) // 2] + JPEG, "cut off"),
    "jpeg with a broken header": (lambda: JPEG[:20] + bytes(300) + JPEG[320:], "broken"),
    **{f"png cut at {p} %": (lambda p=p: PNG[: len(PNG) * p // 100], "cut off")
       for p in (5, 50, 99)},
    "png damaged inside": (lambda: PNG[:60] + bytes(200) + PNG[260:], "damaged"),
    "webp cut": (lambda: encoded("webp")[:-40], "cut off"),
    "tiff cut": (lambda: encoded("tiff")[: len(encoded("tiff")) // 2], "TIFF"),
    "bmp cut": (lambda: encoded("bmp")[:-400], "cut off"),
    "png bomb": (oversized_png, "at most as many as 8192x16384"),
    "png bomb that OpenCV reads": (lambda: oversized_png(30000, 15000), "8192x16384"),
    "jpeg bomb": (lambda: jpeg_claiming(32000, 64000), "8192x16384"),
    "jpeg that is mostly missing": (lambda: jpeg_claiming(8192, 16384), "cut off"),
    "webp bomb": (lambda: webp_claiming(16383, 16383), "8192x16384"),
    "bmp bomb": (lambda: bmp_claiming(20000, 40000), "cut off|8192x16384"),
}  # fmt: skip
