"""Decodes the video of one topic packet by packet; a change of codec starts a new decoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from mtpano_model.errors import MtpanoError
from mtpano_model.video.decoder import Decoder, VideoPicture, video_codec
from mtpano_model.video.messages import VideoPacket


class Stream:
    """Not thread-safe, but `counts` may be read in another thread. tell: as for `Decoder`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._name: str | None = None
        self._decoder: Decoder | None = None
        self._earlier: Counter[str] = Counter()

    @property
    def counts(self) -> Counter[str]:
        """See `Decoder`; packets of a codec that cannot be decoded are refused."""
        now = self._decoder.counts if self._decoder is not None else {}
        return self._earlier + Counter(now)

    def feed(self, packet: VideoPacket, stamp: int) -> VideoPicture | None:
        """The picture that a packet completes, if any; stamp: nanoseconds.

        MtpanoError with the first packet of a codec that cannot be decoded.
        """
        name = video_codec(packet.name) or packet.name
        if name != self._name:
            self.forget()
            self._name = name
            self._open(name)
        if self._decoder is None:
            self._refuse()
            return None
        shown = self._decoder.feed(packet.data, stamp)
        return shown[0] if shown else None

    def forget(self) -> None:
        """Treat the next packet as the start of a new stream; the counts are kept."""
        self._earlier, self._name, self._decoder = self.counts, None, None

    def _open(self, name: str) -> None:
        try:
            self._decoder = Decoder(name, self._tell)
        except MtpanoError:
            self._refuse()
            raise

    def _refuse(self) -> None:
        self._earlier = self._earlier + Counter(("fed", "refused"))
