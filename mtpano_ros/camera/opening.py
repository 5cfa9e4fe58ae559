"""Which source the node's parameters name."""

from __future__ import annotations

import os

from mtpano_ros.camera.source import ImageSource, Source


def open_source(rig: str, transport: str) -> tuple[Source, list[str]]:
    """The source, and what is odd about the rig; MtpanoError if its file is refused.

    rig: path of a rig file, may be empty. transport: the parameter image_transport.
    """
    if not rig:
        return ImageSource(transport), []
    # What reads and joins lenses is of no use to a single camera.
    from mtpano_model.rig.reading import read_rig
    from mtpano_ros.camera.rig_source import RigSource

    read = read_rig(os.path.expanduser(rig))
    return RigSource(read), read.warnings()
