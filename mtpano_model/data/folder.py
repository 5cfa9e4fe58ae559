"""Any folder of equirectangular pictures."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from pathlib import Path

from mtpano_model.data.panorama import Panorama, Skipped, checked_panorama
from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.decode import decode_panorama
from mtpano_model.pictures.files import read_bytes
from mtpano_model.pictures.folders import find_pictures_below, readable
from mtpano_model.pictures.picture import NoteTeller

log = logging.getLogger(__name__)


class FolderPanoramas:
    """Pictures below a folder (or one picture file), in natural order of their paths.

    A name is the folder's own name and the path below it. A picture that is half-written, damaged
    or not 2:1 is skipped and says so; MtpanoError where there is none at all.
    """

    def __init__(self, root: str | Path):
        root = Path(root)
        found = find_pictures_below(root)
        folder = root.parent if root.is_file() else root
        self.root = folder.resolve()  # "." has no name
        below = [file.relative_to(folder) for file in found]
        self.files = [self.root / path for path in below]
        # Here, not when they are asked for: a job asks for every name once a task.
        self.names = [readable((self.root.name / path).as_posix()) for path in below]

    def __len__(self) -> int:
        return len(self.files)

    def identity(self) -> str:
        return "\n".join(self.names)

    def panoramas(self, done: Collection[str] = ()) -> Iterator[Panorama | Skipped]:
        notes = NoteTeller(log)
        for name, file in zip(self.names, self.files, strict=True):
            if name in done:
                continue
            try:
                picture = decode_panorama(read_bytes(file))
            except MtpanoError as error:
                yield Skipped(name, str(error))
                continue
            notes.tell(name, picture)
            yield checked_panorama(name, picture)
