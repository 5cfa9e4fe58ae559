"""Any folder of equirectangular pictures."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from mtpano_model.data.panorama import Panorama, Skipped, check_panorama
from mtpano_model.errors import MtpanoError
from mtpano_model.inference.picture_files import PICTURE_SUFFIXES, decode_picture


class FolderPanoramas:
    """Pictures below a folder (or one picture file), sorted by path.

    A name is the folder's own name and the path below it. A picture that is half-written, damaged
    or not 2:1 is skipped and says so; MtpanoError where there is none at all.
    """

    def __init__(self, root: str | Path):
        root = Path(root)
        if not root.exists():
            raise MtpanoError(f"'{root}' does not exist: give a folder of panoramas or a bag")
        files = [root.resolve()] if root.is_file() else sorted(root.resolve().rglob("*"))
        self.root = (root.parent if root.is_file() else root).resolve()
        self.files = [f for f in files if f.suffix.lower() in PICTURE_SUFFIXES and f.is_file()]
        if not self.files:
            raise MtpanoError(
                f"'{root}' holds no picture: expected {', '.join(PICTURE_SUFFIXES)} files"
            )

    def __len__(self) -> int:
        return len(self.files)

    def panoramas(self, done: Collection[str] = ()) -> Iterator[Panorama | Skipped]:
        for file in self.files:
            name = file.relative_to(self.root.parent).as_posix()
            if name in done:
                continue
            try:
                image = decode_picture(file.read_bytes())
            except (OSError, ValueError) as error:
                yield Skipped(name, str(error))
            else:
                yield check_panorama(name, image)
