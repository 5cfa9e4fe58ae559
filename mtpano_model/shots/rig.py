"""Reads the pictures of a rig's lenses, moment by moment, from a bag or folders of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.files import read_picture
from mtpano_model.pictures.folders import find_pictures, natural_order, output_names, readable
from mtpano_model.pictures.messages import PICTURE_TYPES, read_lens
from mtpano_model.pictures.picture import BadPicture, Picture
from mtpano_model.rig.moments import Moment, Moments
from mtpano_model.rig.rig import Rig
from mtpano_model.shots.bag import read_recorded
from mtpano_model.shots.recording import Recording, is_recording, open_recording
from mtpano_model.shots.storage import warn_once
from mtpano_model.shots.video import VideoReader, lens_picture
from mtpano_model.video.messages import stamp_of, video_packet

# What image transports append to a topic's name.
_TRANSPORTS = ("", "/compressed", "/ffmpeg", "/foxglove", "/h264", "/h265", "/hevc")


@dataclass(frozen=True)
class RigMoment:
    """name: its stamp in nanoseconds, or that of its files. parts: by topic, still encoded."""

    name: str
    parts: dict[str, Callable[[], Picture]]

    def open(self) -> dict[str, NDArray[np.uint8]]:
        """RGB pictures uint8 [h, w, 3] by topic, without unusable ones; MtpanoError if all are."""
        pictures: dict[str, NDArray[np.uint8]] = {}
        problem: MtpanoError | None = None
        for topic, decode in self.parts.items():
            try:
                pictures[topic] = decode().rgb
            except MtpanoError as error:
                problem = error
                warn_once(f"pictures of {topic} are left out: {error}")
        if problem is not None and not pictures:
            raise problem
        return pictures


class RigMoments:
    """The moments of a rig. place: a recording, a picture that shows all lenses, a folder of such
    pictures, or a folder with a folder for each lens (by the lens's name), in which pictures of the
    same moment have the same name.

    count: the largest possible number of moments. MtpanoError if no lens of the rig is found.
    """

    def __init__(self, place: Path, rig: Rig) -> None:
        self._place, self._rig = place, rig
        self._is_bag = is_recording(place)
        if self._is_bag:
            with open_recording(place) as recording:
                self._topics = _recorded_topics(recording, rig, readable(place))
                self.count = max(recording.counts[name] for name in self._topics)
        else:
            self._files = _moments_of_files(place, rig)
            self.count = len(self._files)

    def __iter__(self) -> Iterator[RigMoment]:
        return self._of_bag() if self._is_bag else iter(self._files)

    def _of_bag(self) -> Iterator[RigMoment]:
        rig, clock = self._rig, _Clock()
        name = readable(self._place)
        videos: dict[str, VideoReader] = {}

        def tell(sentence: str) -> None:
            warn_once(f"{name}: {sentence}")

        with open_recording(self._place) as recording:
            moments: Moments | None = None
            for item in recording.messages(*self._topics):
                clock.now = item.recorded / 1e9
                if moments is None:
                    topics = list(self._topics.values())
                    moments = Moments(topics, rig.tolerance, rig.wait, clock, tell)
                topic = self._topics[item.topic]
                yield from _handed_out(moments.poll())
                try:
                    message = read_recorded(item)
                except BadPicture as error:
                    tell(f"messages of {item.topic} are left out: {error}")
                    continue
                stamp = stamp_of(message) or item.recorded
                packet = video_packet(message)
                decode: Callable[[], Picture] = partial(read_lens, message)
                if packet is not None:
                    if topic not in videos:
                        videos[topic] = VideoReader(f"{name}, {item.topic}")
                    try:
                        picture = videos[topic].read(packet, stamp)
                    except MtpanoError as error:
                        tell(f"packets of {item.topic} are left out: {error}")
                        continue
                    if picture is None:
                        continue
                    decode = partial(lens_picture, picture)
                yield from _handed_out(moments.offer(topic, stamp / 1e9, (stamp, decode)))
            clock.now += rig.wait
            while moments is not None and (last := moments.poll()) is not None:
                yield from _handed_out(last)
            if moments is not None:
                _tell_counts(moments.counts, tell)
        for video in videos.values():
            if lost := video.summary():
                warn_once(lost)


def _tell_counts(counts: dict[str, int], tell: Callable[[str], None]) -> None:
    lacking, whole = counts["incomplete"], counts["together"]
    if lacking:
        tell(f"{lacking} of {lacking + whole} moments lack a lens, {whole} are complete")
    if left := counts["superseded"] + counts["late"]:
        tell(f"{left} pictures are left out, since a newer moment was complete before theirs")


class _Clock:
    """A clock that shows the time of the recording."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def _handed_out(moment: Moment | None) -> Iterator[RigMoment]:
    if moment is not None:
        stamp = max(stamp for stamp, _ in moment.pictures.values())
        yield RigMoment(str(stamp), {topic: one[1] for topic, one in moment.pictures.items()})


def _recorded_topics(recording: Recording, rig: Rig, bag: str) -> dict[str, str]:
    """The rig's topics, by their names in the recording."""
    found, missing = {}, []
    for topic in rig.topics:
        names = [
            name
            for name in (topic + end for end in _TRANSPORTS)
            if recording.topics.get(name) in PICTURE_TYPES
            and next(recording.messages(name), None) is not None
        ]
        if names:
            found[names[0]] = topic
        else:
            missing.append(topic)
    if not found:
        have = ", ".join(f"{n} ({k})" for n, k in sorted(recording.topics.items())) or "none at all"
        raise MtpanoError(
            f"bag {bag} has no pictures on the rig's topics ({', '.join(rig.topics)}): its topics "
            f"are {have}"
        )
    for topic in missing:
        warn_once(
            f"{bag}: the rig's topic {topic} was not recorded: the part that it sees is unknown"
        )
    return found


def _moments_of_files(place: Path, rig: Rig) -> list[RigMoment]:
    if len(rig.topics) == 1:
        paths = find_pictures(place)
        return [
            RigMoment(name, {rig.topics[0]: partial(read_picture, path)})
            for name, path in zip(output_names(paths), paths, strict=True)
        ]
    # By the first lens of a topic.
    names = {lens.topic: lens.name for lens in reversed(rig.lenses)}
    folders = {topic: place / names[topic] for topic in rig.topics}
    if not place.is_dir() or not all(folder.is_dir() for folder in folders.values()):
        raise MtpanoError(
            f"'{readable(place)}' is neither a bag nor a folder with a folder for each lens: "
            f"expected {', '.join(folder.name for folder in folders.values())} in it, with "
            "pictures of the same names"
        )
    found = [(path, topic) for topic, folder in folders.items() for path in find_pictures(folder)]
    found.sort(key=lambda one: (natural_order(Path(one[0].stem)), one[0].stem))
    return [
        RigMoment(stem, {topic: partial(read_picture, path) for path, topic in group})
        for stem, group in groupby(found, key=lambda one: one[0].stem)
    ]
