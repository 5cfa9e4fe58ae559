"""The camera's status in /diagnostics: `<node>: camera`.

source          image or rig
topics          the subscribed topics, with commas between them
silent          topics of a rig that deliver nothing
apart           topics of a rig whose stamps do not match the others'
unseen_share    share of the panorama's pixels that no lens sees, 0 to 1
notes           remarks on the last picture, which is used nevertheless
moments_<what>  of a rig: together (complete), incomplete; late and superseded count single pictures
packets_<what>  of video: fed = shown + waiting (for a key frame) + damaged + late + refused
                (B frames) + empty; gaps
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticStatus

if TYPE_CHECKING:
    from mtpano_model.pictures.picture import Note

ALARMING_NOTES = ("fisheye",)


@dataclass
class CameraState:
    """The state of the subscribed camera. problems: messages about faults to correct, by subject.

    counts, silent, apart: called when the status is made.
    """

    source: str = ""
    topics: tuple[str, ...] = ()
    problems: dict[str, str] = field(default_factory=dict)
    notes: Sequence[Note] = ()
    unseen_share: float = 0.0
    counts: Callable[[], Counter[str]] = Counter
    silent: Callable[[], Sequence[str]] = tuple
    apart: Callable[[], Sequence[str]] = tuple

    def rest(self) -> None:
        """Clear the state, since nothing is subscribed any more."""
        self.problems.clear()
        self.notes, self.silent, self.apart = (), tuple, tuple

    def status(self) -> tuple[bytes, str, dict[str, str]]:
        """Level, message, keys and values."""
        notes, silent, apart = self.notes, self.silent(), self.apart()
        values = {
            "source": self.source,
            "topics": ", ".join(self.topics),
            "silent": ", ".join(silent),
            "apart": ", ".join(apart),
            "unseen_share": f"{self.unseen_share:.3f}",
            "notes": "; ".join(note.text for note in notes),
            **{name: str(number) for name, number in self.counts().items()},
        }
        told = [
            *self.problems.values(),
            *(f"no picture comes on {topic}" for topic in silent),
            *(f"the stamps on {topic} do not match those of the other lenses" for topic in apart),
            *(note.text for note in notes if note.kind in ALARMING_NOTES),
        ]
        if told:
            return DiagnosticStatus.WARN, "; ".join(told), values
        return DiagnosticStatus.OK, self.source, values
