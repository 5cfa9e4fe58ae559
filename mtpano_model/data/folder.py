"""Any folder of equirectangular pictures."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.data.panorama import Panorama, Skipped, check_panorama
from mtpano_model.errors import MtpanoError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


class FolderPanoramas:
    """Pictures below a folder (or one picture file), sorted by path; names are relative paths.

    MtpanoError where there is none. A picture that is half-written, damaged or not 2:1 is skipped
    and says so.
    """

    def __init__(self, root: str | Path):
        root = Path(root)
        if not root.exists():
            raise MtpanoError(f"'{root}' does not exist: give a folder of panoramas or a bag")
        files = [root] if root.is_file() else sorted(root.rglob("*"))
        self.root = root.parent if root.is_file() else root
        self.files = [f for f in files if f.suffix.lower() in SUFFIXES and f.is_file()]
        if not self.files:
            raise MtpanoError(f"'{root}' holds no picture: expected {', '.join(SUFFIXES)} files")

    def __len__(self) -> int:
        return len(self.files)

    def panoramas(self, done: Collection[str] = ()) -> Iterator[Panorama | Skipped]:
        for file in self.files:
            name = file.relative_to(self.root).as_posix()
            if name in done:
                continue
            try:
                image = read_whole_picture(file)
            except (OSError, ValueError) as error:
                yield Skipped(name, str(error))
            else:
                yield check_panorama(name, image)


def read_whole_picture(path: Path) -> NDArray[np.uint8]:
    """RGB uint8 [H, W, 3]; ValueError for a damaged or half-written file, OSError as it comes.

    The end mark is looked for because OpenCV fills what is missing with grey and says nothing;
    whatever a camera appends after it does no harm.
    """
    data = path.read_bytes()
    if not _has_end_mark(data):
        raise ValueError("the file is half-written: its end mark is missing")
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise ValueError("it is damaged or no picture")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def _has_end_mark(data: bytes) -> bool:
    if data.startswith(b"\x89PNG"):
        return b"IEND" in data
    if data.startswith(b"\xff\xd8"):
        scan = _jpeg_scan_start(data)
        # Inside the scan 0xFF is followed by 0 or a restart mark, so this is the picture's end.
        return scan >= 0 and data.find(b"\xff\xd9", scan) >= 0
    return bool(data)


def _jpeg_scan_start(data: bytes) -> int:
    """Where the first scan begins, after all segments (a thumbnail's marks are inside one)."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        if data[place + 1] == 0xDA:
            return place
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return -1
