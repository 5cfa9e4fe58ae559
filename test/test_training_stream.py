"""The stream of training frames: every frame once an epoch, any step reachable at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from box_rooms import BoxRooms, box_data, quick_config

from mtpano_model.data.sample import Sample
from mtpano_model.errors import MtpanoError
from mtpano_model.training.config import Stage
from mtpano_model.training.stream import StreamSampler, TrainingData, stage_batches


def frames(sampler: StreamSampler) -> list[tuple[int, int]]:
    return [(draw.source, draw.index) for draw in chain.from_iterable(sampler)]


def test_an_epoch_shows_every_frame_once_in_a_new_order() -> None:
    seen = frames(StreamSampler([10], 4, 5, seed=0))
    first, second = seen[:10], seen[10:]
    assert sorted(first) == sorted(second) == [(0, i) for i in range(10)]
    assert first != second
    assert seen != frames(StreamSampler([10], 4, 5, seed=1))


def test_any_step_can_be_jumped_to() -> None:
    whole = list(StreamSampler([10], 4, 12, seed=3))
    assert list(StreamSampler([10], 4, 5, seed=3, first=7 * 4)) == whole[7:]


def test_processes_share_the_stream() -> None:
    alone = frames(StreamSampler([10], 4, 6, seed=3))
    ranks = [list(StreamSampler([10], 2, 6, seed=3, rank=r, world=2)) for r in range(2)]
    together = [(d.source, d.index) for pair in zip(*ranks, strict=True) for b in pair for d in b]
    assert together == alone


def test_shares_of_several_data_sets() -> None:
    epochs = 30
    sampler = StreamSampler([30, 7, 50], 5, 10 * epochs, seed=0, shares=(0.6, 0.2, 0.2))
    seen = Counter(frames(sampler))
    assert [seen[0, i] for i in range(30)] == [epochs] * 30
    per_source = Counter(source for source, _ in seen.elements())
    assert per_source == {0: 30 * epochs, 1: 10 * epochs, 2: 10 * epochs}
    small, large = [seen[1, i] for i in range(7)], [seen[2, i] for i in range(50)]
    assert max(small) - min(small) <= 1
    assert max(large) - min(large) <= 1


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_frame_is_one_sentence_not_a_traceback(workers: int) -> None:
    class Damaged(BoxRooms):
        def __getitem__(self, index: int) -> Sample:
            raise MtpanoError(f"frame {index} is damaged")

    data = TrainingData(*[lambda size: Damaged(3, size)] * 2)
    config = quick_config(stages=(Stage(32, 64, 2, 2),), workers=workers)
    with pytest.raises(MtpanoError, match=r"^frame \d is damaged$"):
        next(stage_batches(config, data, config.stages[0]))


def test_batches_follow_from_seed_and_position_alone() -> None:
    config = quick_config(stages=(Stage(32, 64, 6, 2),))
    (stage,) = config.stages
    whole = list(stage_batches(config, box_data(), stage))
    rest = list(stage_batches(config, box_data(), stage, done=4))
    assert len(whole) == 6
    for a, b in zip(whole[4:], rest, strict=True):
        assert a.names == b.names
        assert torch.equal(a.image, b.image)
        assert torch.equal(a.normals, b.normals)
        assert torch.equal(a.auxiliary["edf"], b.auxiliary["edf"])
    workers = list(stage_batches(replace(config, workers=2), box_data(), stage))
    assert all(torch.equal(a.image, b.image) for a, b in zip(whole, workers, strict=True))


class Patches(BoxRooms):
    """A store's behaviour: `draw` gives another depth each time."""

    def draw(self, index: int, rng: np.random.Generator) -> Sample:
        scale = float(rng.uniform(2, 3))
        return replace(self[index], depth=self[index].depth * scale)


def test_patches_are_drawn_only_after_the_heads_have_warmed_up() -> None:
    heads, everything = Stage(32, 64, 2, 2, learn="heads"), Stage(32, 64, 2, 2)
    config = quick_config(stages=(heads, everything), patch_depth=True)
    data = TrainingData(train=lambda size: Patches(4, size), val=lambda size: Patches(1, size))
    nearest = Patches(1, (32, 64))[0].depth.min()
    for batch in stage_batches(config, data, heads):
        torch.testing.assert_close(batch.depth.amin((1, 2, 3)), nearest.expand(2))
    drawn = [b.depth.amin((1, 2, 3)) for b in stage_batches(config, data, everything)]
    assert (torch.cat(drawn) > 1.9 * nearest).all()
    assert len(torch.cat(drawn).unique()) == 4
    merged = stage_batches(replace(config, patch_depth=False), data, everything)
    torch.testing.assert_close(next(iter(merged)).depth.amin((1, 2, 3)), nearest.expand(2))
