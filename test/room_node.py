"""A node whose network sees the room of robot_room.py, whatever picture it is given.

Its answer is that of a level camera on the decoder's grid. The camera itself may be tilted.
"""

from __future__ import annotations

import numpy as np
from fake_model import write_fake_model
from room_answers import LEVEL_DOWN, SIZE, answer


def write_room_model(folder):
    """A model of the room's size; what it really computes is replaced."""
    return write_fake_model(folder / "room.onnx", size=SIZE, decoder_stride=1)


def see_room(bot, scale=1.0, down=LEVEL_DOWN, pictures=None, pit=None):
    """From now on this is what the node's network answers; `pictures` keeps what it was shown.

    pit: [h, w] of its grid, where all is ten times as far away.
    """
    result = answer(scale, down)
    if pit is not None:
        result["depth"] = np.where(pit, 10 * result["depth"], result["depth"])

    def infer(batch):
        if pictures is not None:
            pictures.append(batch.copy())
        return {name: array.copy() for name, array in result.items()}

    bot.node._estimator.infer = infer
