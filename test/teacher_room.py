"""The room that teachers are asked about."""

from __future__ import annotations

from stand_ins.teachers import compass

from mtpano_model.data.panorama import Panorama

ROOM = Panorama("room", compass())
