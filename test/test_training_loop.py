"""The training loop: it learns, resumes exactly, stops when it should, and forgets nothing."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from box_rooms import BoxRooms, box_data, quick_config
from killed_training import ALL_STAGES, Killed, kill_at
from lightning_fabric import Fabric

from mtpano_model.data.sample import Sample
from mtpano_model.errors import MtpanoError
from mtpano_model.network import preset
from mtpano_model.network.pretrained import (
    from_pretrained,
    read_facts,
    read_tensors,
)
from mtpano_model.training.checkpoint import best_weights, latest_checkpoint
from mtpano_model.training.config import OptimizerConfig, Stage
from mtpano_model.training.loop import train
from mtpano_model.training.losses import LossConfig
from mtpano_model.training.stream import TrainingData


def losses_of(run: Path) -> dict[int, float]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: line["total"] for line in lines if "total" in line}


def test_a_killed_run_goes_on_with_the_same_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = quick_config(stages=ALL_STAGES, accumulate=2, checkpoint_minutes=0.0)
    train(config, box_data(), tmp_path / "whole")
    for step in (1, 2, 5, 7):  # in and between the stages
        with monkeypatch.context() as context:
            kill_at(step, context)
            with pytest.raises(Killed):
                train(config, box_data(), tmp_path / "killed", resume=True)
    train(config, box_data(), tmp_path / "killed", resume=True)
    whole, killed = losses_of(tmp_path / "whole"), losses_of(tmp_path / "killed")
    assert list(whole) == list(range(1, 10))
    assert killed == whole
    a, b = (best_weights(tmp_path / run) for run in ("whole", "killed"))
    assert a.read_bytes() == b.read_bytes()


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    config = quick_config()
    train(config, box_data(), tmp_path)
    last = latest_checkpoint(tmp_path)
    half = last.with_name("step_00000009.part")
    half.mkdir()
    (half / "net.safetensors").write_bytes(b"half")
    assert latest_checkpoint(tmp_path) == last
    longer = replace(config, workers=1)  # may differ
    train(longer, box_data(), tmp_path, resume=True)


def test_a_loader_that_cannot_keep_up_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Slow(BoxRooms):
        def __getitem__(self, index: int) -> Sample:
            time.sleep(1.0)
            return super().__getitem__(index)

    config = quick_config(stages=(Stage(32, 64, 4, 1),), losses=LossConfig())
    train(config, box_data(), tmp_path / "fast")
    assert "--workers" not in caplog.text
    slow = replace(box_data(), train=lambda size: Slow(6, size))
    train(config, slow, tmp_path / "slow")
    assert caplog.text.count("give more --workers than 0") == 1


def test_a_full_disk_is_one_clear_error_and_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = quick_config(checkpoint_minutes=0.0)
    written = torch.save

    def full(state, path):
        if "step_00000003" in str(path):
            raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")
        written(state, path)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(MtpanoError, match="the one before it is complete; free some disk space"):
        train(config, box_data(), tmp_path)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step_00000002"]
    monkeypatch.setattr(torch, "save", written)
    train(config, box_data(), tmp_path, resume=True)
    assert list(losses_of(tmp_path)) == [1, 2, 3, 4]


def test_resuming_with_another_configuration_is_refused(tmp_path: Path) -> None:
    config = quick_config()
    train(config, box_data(), tmp_path)
    other = replace(config, optimizer=replace(config.optimizer, lr=1e-3))
    with pytest.raises(MtpanoError, match=r"optimizer\.lr = 0\.002, now it is 0\.001"):
        train(other, box_data(), tmp_path, resume=True)
    with pytest.raises(MtpanoError, match="already holds a run"):
        train(config, box_data(), tmp_path)


def test_it_learns(tmp_path: Path) -> None:
    config = quick_config(stages=(Stage(32, 64, 30, 4),), eval_every=20)
    metrics = train(config, box_data(), tmp_path)
    losses = losses_of(tmp_path)
    assert losses[30] < 0.7 * losses[1]
    assert metrics["depth.abs_rel"] < 0.4
    assert metrics["normals.mean_deg"] < 60
    net = from_pretrained(best_weights(tmp_path))  # what export and evaluate open
    assert net.config == preset("nano", image_size=(32, 64))  # that it was trained at
    assert read_facts(best_weights(tmp_path))["extra"]["step"] == 30


class BrokenRooms(BoxRooms):
    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        if sample.name != "view3":
            return sample
        return replace(sample, depth=torch.full_like(sample.depth, float("nan")))


def test_a_nan_stops_training_and_names_the_frames(tmp_path: Path) -> None:
    data = TrainingData(train=lambda size: BrokenRooms(6, size), val=box_data().val)
    with pytest.raises(MtpanoError, match="losses are not finite at step"):
        train(quick_config(stages=(Stage(32, 64, 9, 2),)), data, tmp_path)
    report = json.loads((tmp_path / "not_finite_0.json").read_text())
    assert "view3" in report["names"]
    assert "depth" in report["terms"]


def test_a_gradient_that_is_not_finite_leaves_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backward = Fabric.backward

    def overflowing(fabric: Fabric, loss: torch.Tensor) -> None:
        done = latest_checkpoint(tmp_path)
        backward(fabric, loss * float("inf") if done and done.name == "step_00000002" else loss)

    monkeypatch.setattr(Fabric, "backward", overflowing)
    with pytest.raises(MtpanoError, match="the gradient is not finite at step 2"):
        train(quick_config(checkpoint_minutes=0.0), box_data(), tmp_path)
    left = latest_checkpoint(tmp_path)
    assert left.name == "step_00000002"
    assert all(tensor.isfinite().all() for tensor in read_tensors(left / "net").values())
    report = json.loads((tmp_path / "not_finite_0.json").read_text())
    assert report["terms"] == ["gradient"]
    assert len(report["names"]) == 2


NEVER_BETTER = OptimizerConfig(lr=0.0, backbone_lr=0.0, heads_lr=0.0)


def test_patience_stops_the_last_stage_for_good_and_keeps_the_best(tmp_path: Path) -> None:
    stages = (Stage(32, 64, 5, 1, learn="heads"), Stage(32, 64, 50, 1))
    config = quick_config(
        stages=stages, optimizer=NEVER_BETTER, eval_every=1, patience=2, freeze_norm=True
    )
    train(config, box_data(), tmp_path)
    assert max(losses_of(tmp_path)) == 8  # best at 6, the last stage's first, not better at 7 and 8
    assert best_weights(tmp_path) == tmp_path / "best" / "net.safetensors"
    assert read_facts(best_weights(tmp_path))["extra"]["step"] == 6
    train(config, box_data(), tmp_path, resume=True)
    assert max(losses_of(tmp_path)) == 8


def test_every_process_judges_by_the_first_one_s_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one of them would go and gather a sharded network alone. Here is the second process."""
    firsts = iter(np.linspace(0.1, 0.9, 5))

    def of_the_first(_: Fabric, own: object) -> object:
        return {"depth.delta1": next(firsts)} if isinstance(own, dict) else own

    monkeypatch.setattr(Fabric, "broadcast", of_the_first)
    config = quick_config(
        stages=(Stage(32, 64, 5, 1),),
        optimizer=NEVER_BETTER,
        eval_every=1,
        patience=2,
        freeze_norm=True,
    )
    assert train(config, box_data(), tmp_path) == {"depth.delta1": 0.9}
    assert max(losses_of(tmp_path)) == 5
    assert read_facts(best_weights(tmp_path))["extra"]["step"] == 5


def test_tensorboard_gets_curves_and_pictures(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(quick_config(pictures=2), box_data(), tmp_path)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"total", "val/depth/abs_rel"} <= set(events.Tags()["scalars"])
    assert set(events.Tags()["images"]) == {"view6", "view7"}
    picture = events.Images("view6")[0]
    assert (picture.height, picture.width) == (64, 256)  # two rows of four
