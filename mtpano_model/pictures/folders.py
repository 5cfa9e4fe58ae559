"""Which files of a folder are pictures, and in which order."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mtpano_model.errors import MtpanoError

log = logging.getLogger(__name__)

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
RECORDING_SUFFIXES = (".mcap", ".db3")
# What cameras write before their software has made an equirectangular picture of it.
_CAMERA_SUFFIXES = (".insv", ".insp", ".360")
# A folder that holds one of these was written to by `predict` or `snapshot`.
_OWN_FOLDERS = ("about.json", "summary.json")
_OWN_FILES = re.compile(
    r"(?:panel|depth|normals|labels|confidence)_.*\.png|sheet(?:_\d+)?\.jpg", re.DOTALL
)
_LONGEST_NAME = 200  # bytes
_OWN_STORE = "store.json"  # a label store, with its previews below


def find_pictures(place: Path) -> list[Path]:
    """The picture itself, or a folder's pictures in natural order; MtpanoError without any."""
    return _found(place, below=False)


def find_pictures_below(place: Path) -> list[Path]:
    """The same in all folders below `place` as well, in natural order of the paths."""
    return _found(place, below=True)


def natural_order(path: Path) -> list[tuple[int, str]]:
    """Sort key: digits count as numbers, so frame_2 comes before frame_10."""
    parts = re.split(r"([0-9]+)", str(path).lower())
    return [(int(part), "") if number % 2 else (-1, part) for number, part in enumerate(parts)]


def readable(path: Path | str) -> str:
    """A path or file name as text that any log, picture or JSON file can hold.

    Bytes that are no UTF-8 become \\xNN.
    """
    return os.fsencode(str(path)).decode("utf-8", "backslashreplace")


def output_names(pictures: Sequence[Path]) -> list[str]:
    """A name for what is made of each picture, no two alike: its own without the suffix, with it
    where two pictures would share one, and with a number where that is taken as well."""
    short = [short_name(path.stem) for path in pictures]
    stems = Counter(short)
    taken = {stem for stem, count in stems.items() if count == 1}
    names = []
    for path, stem in zip(pictures, short, strict=True):
        name = stem
        if stems[stem] > 1:
            first = name = f"{stem}_{path.suffix[1:]}"
            number = 2
            while name in taken:
                name, number = f"{first}_{number}", number + 1
            taken.add(name)
        names.append(name)
    return names


def short_name(name: str) -> str:
    """A file's name with room for a prefix and a suffix in the 255 bytes that file systems have."""
    return os.fsdecode(os.fsencode(name)[:_LONGEST_NAME])


def refuse_camera_file(path: Path) -> None:
    """MtpanoError for a camera's raw recording, which is not equirectangular yet."""
    if path.suffix.lower() in _CAMERA_SUFFIXES:
        raise MtpanoError(
            f"'{readable(path)}' is a camera's raw recording, not an equirectangular picture: "
            "export it as an equirectangular JPEG or MP4 with the camera's software"
        )


def _found(place: Path, below: bool) -> list[Path]:
    refuse_camera_file(place)
    try:
        mode = place.stat().st_mode
    except (OSError, ValueError) as error:
        why = "does not exist"
        if not isinstance(error, FileNotFoundError):
            why = f"cannot be opened ({getattr(error, 'strerror', None) or error})"
        raise MtpanoError(
            f"'{readable(place)}' {why}: give a picture or a folder of pictures"
        ) from error
    if stat.S_ISREG(mode):
        return [place]
    if not stat.S_ISDIR(mode):
        raise MtpanoError(
            f"'{readable(place)}' is neither a file nor a folder: give a picture or a folder of "
            "pictures"
        )
    pictures: list[Path] = []
    others: list[Path] = []
    for folder, names in _walk(place, below):
        is_own = any(name in _OWN_FOLDERS for name in names)
        own = [name for name in names if is_own and _OWN_FILES.fullmatch(name)]
        if own:
            log.info("%s: left out %d pictures that mtpano wrote", readable(folder), len(own))
        left = set(names).difference(own)
        paths = [folder / name for name in names if name in left]
        pictures += [path for path in paths if path.suffix.lower() in PICTURE_SUFFIXES]
        others += paths
    if not pictures:
        raise MtpanoError(_why_none(place, others))
    return sorted(pictures, key=natural_order)


def _walk(place: Path, below: bool) -> Iterator[tuple[Path, list[str]]]:
    """Folders and the names of their regular files, hidden ones left out."""
    folders = [place]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                seen = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            text = f"folder '{readable(folder)}' cannot be read: {error.strerror}"
            if folder == place:
                raise MtpanoError(text) from error
            log.warning("skipped: %s", text)
            continue
        names = [entry.name for entry in seen if _is_file(entry)]
        if below and _OWN_STORE in names:
            log.info("%s: left out, it is a label store", readable(folder))
            continue
        yield folder, names
        if below:
            folders += [folder / e.name for e in seen if e.is_dir(follow_symlinks=False)]


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a loop of links
        return False


def _why_none(place: Path, others: Iterable[Path]) -> str:
    suffixes = {path.suffix.lower() for path in others}
    found = f"folder '{readable(place)}' holds no picture"
    if suffixes.intersection(_CAMERA_SUFFIXES):
        return (
            f"{found} but a camera's raw recordings ({', '.join(_CAMERA_SUFFIXES)}): export them "
            "as equirectangular JPEG or MP4 with the camera's software"
        )
    if suffixes.intersection(RECORDING_SUFFIXES):
        return (
            f"{found} but a rosbag2 recording: play it to the node (`./run demo --input`), or "
            "label it (`mtpano label`)"
        )
    return f"{found}: expected files ending in {', '.join(PICTURE_SUFFIXES)}"
