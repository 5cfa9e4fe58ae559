"""Opens the camera source that the node's parameters name."""

from __future__ import annotations

import os

from mtpano_ros.camera.source import ImageSource, Source


def open_source(rig: str, transport: str) -> tuple[Source, list[str]]:
    """The source, and warnings about the rig; MtpanoError if the rig file is invalid.

    rig: path of a rig file, empty for one panorama topic. transport: the parameter image_transport.
    """
    if not rig:
        return ImageSource(transport), []
    # What reads and joins lenses is of no use to a single camera.
    from mtpano_model.rig.reading import read_rig
    from mtpano_ros.camera.rig_source import RigSource

    read = read_rig(os.path.expanduser(rig))
    return RigSource(read), read.warnings()
