"""What the loop makes of a configuration: schedules, decay, class weights, self labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from box_rooms import BoxRooms, box_data, quick_config
from killed_training import ALL_STAGES, Killed, kill_at

from mtpano_model.data.sample import collate
from mtpano_model.errors import MtpanoError
from mtpano_model.network import PDBridgeNet, preset
from mtpano_model.network.pretrained import (
    from_pretrained,
    read_tensors,
    save_pretrained,
)
from mtpano_model.training.checkpoint import best_weights, latest_checkpoint
from mtpano_model.training.class_balance import balanced_class_weights
from mtpano_model.training.config import OptimizerConfig, Stage
from mtpano_model.training.loop import train
from mtpano_model.training.losses import LossConfig
from mtpano_model.training.optimizer import build_optimizer, set_learning, set_learning_rate
from mtpano_model.training.self_labels import SelfLabels

# --- what learns, and how fast -------------------------------------------------------------------


def test_the_heads_warm_up_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = PDBridgeNet(preset("nano"))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    norms = [m for m in net.backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    set_learning(net, ALL_STAGES[0], freeze_norm=False)
    assert not any(m.training for m in norms)
    set_learning(net, ALL_STAGES[1], freeze_norm=True)
    assert not any(m.training for m in norms)
    set_learning(net, ALL_STAGES[1], freeze_norm=False)
    assert all(m.training for m in norms)
    save_pretrained(net, tmp_path / "start")
    config = quick_config(stages=ALL_STAGES[:2], checkpoint_minutes=0.0)
    kill_at(2, monkeypatch)  # right after the heads' stage
    with pytest.raises(Killed):
        train(config, box_data(), tmp_path / "run", init=tmp_path / "start.safetensors")
    after = read_tensors(latest_checkpoint(tmp_path / "run") / "net")
    moved = {name.split(".")[0] for name, p in before.items() if not torch.equal(p, after[name])}
    assert moved == {"aggregators", "heads"}
    mean = "backbone.stages.0.0.1.running_mean"
    assert torch.equal(net.state_dict()[mean], after[mean])


def test_frozen_parts_keep_every_bit(tmp_path: Path) -> None:
    """Also in the moving average that is shipped; everything else learns."""
    frozen = ("backbone", "bridges")
    save_pretrained(PDBridgeNet(preset("nano")), tmp_path / "start")
    before = read_tensors(tmp_path / "start")
    config = quick_config(
        stages=(Stage(32, 64, 3, 2),), network="", freeze=frozen,
        optimizer=OptimizerConfig(ema=0.9),
    )  # fmt: skip
    train(config, box_data(), tmp_path / "run", init=tmp_path / "start.safetensors")
    step = latest_checkpoint(tmp_path / "run")
    for name in ("net", "average"):
        after = read_tensors(step / name)
        same = {key for key, tensor in before.items() if torch.equal(tensor, after[key])}
        assert {key for key in before if key.split(".")[0] in frozen} <= same
        assert {key.split(".")[0] for key in set(before) - same} >= {"decoders", "heads"}


def test_a_part_that_does_not_exist_cannot_be_frozen(tmp_path: Path) -> None:
    config = quick_config(network="nano", freeze=("backbone", "bridge"))
    with pytest.raises(MtpanoError, match=r"no part 'bridge'.*bridges"):
        train(config, box_data(), tmp_path / "run")


@pytest.mark.parametrize(
    ("learn", "parts"),
    [("all", [name for name, _ in PDBridgeNet(preset("nano")).named_children()]),
     ("heads", ["aggregators", "heads"])],
)  # fmt: skip
def test_a_stage_in_which_nothing_would_learn_is_refused(learn, parts, tmp_path: Path) -> None:
    stages = (Stage(32, 64, 1, 2, learn), Stage(32, 64, 1, 2))
    config = quick_config(network="nano", freeze=tuple(parts), stages=stages)
    with pytest.raises(MtpanoError, match=r"freeze .*heads.* leaves nothing to train"):
        train(config, box_data(), tmp_path / "run")


def test_schedules() -> None:
    net = PDBridgeNet(preset("nano"))
    config = OptimizerConfig(lr=1.0, backbone_lr=0.1, warmup=10)
    optimizer = build_optimizer(net, config)

    def rates(step: int, config: OptimizerConfig) -> set[float]:
        set_learning_rate(optimizer, config, step, 110)
        return {round(group["lr"], 6) for group in optimizer.param_groups}

    assert rates(-3, config) == {1e-3}
    assert rates(0, config) == {0.1, 0.01}
    assert rates(9, config) == {1.0, 0.1}
    assert rates(60, config) == {round(0.5**0.9, 6), round(0.1 * 0.5**0.9, 6)}
    cosine = replace(config, schedule="cosine")
    assert rates(60, cosine) == {0.5, 0.05}
    assert max(rates(109, cosine)) < 1e-3


def test_only_weights_decay() -> None:
    net = PDBridgeNet(preset("nano"))
    optimizer = build_optimizer(net, OptimizerConfig(weight_decay=0.1))
    for group in optimizer.param_groups:
        assert all((p.ndim > 1) == (group["weight_decay"] > 0) for p in group["params"])
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(list(net.parameters()))


def test_rare_classes_weigh_more_and_the_mean_is_one() -> None:
    frames = BoxRooms(2, (32, 64))
    weights = balanced_class_weights([(frames, 1.0)], 18, 0.5)
    counts = np.bincount(frames[0].semseg.flatten(), minlength=18)
    counts = counts + np.bincount(frames[1].semseg.flatten(), minlength=18)
    share = torch.from_numpy(counts / counts.sum()).float()
    assert (share * weights).sum().item() == pytest.approx(1)
    present = share > 0
    assert torch.equal(weights[present].argsort(), share[present].argsort(descending=True))
    ratio = weights[0] / weights[2]
    assert ratio.item() == pytest.approx((share[2] / share[0]).sqrt().item(), rel=1e-4)
    assert (weights[~present] == 1).all()


def test_a_class_of_a_set_that_is_mixed_in_counts_by_that_set_s_share() -> None:
    person = torch.full((2, 32, 64), 16, dtype=torch.uint8)
    people = [replace(sample, semseg=person[0]) for sample in BoxRooms(2, (32, 64))]
    weights = balanced_class_weights([(BoxRooms(2, (32, 64)), 0.99), (people, 0.01)], 18, 0.5)
    alone = balanced_class_weights([(BoxRooms(2, (32, 64)), 1.0)], 18, 0.5)
    floor = np.mean([(sample.semseg == 1).float().mean() for sample in BoxRooms(2, (32, 64))])
    assert alone[16] == 1
    assert (weights[16] / weights[1]).item() == pytest.approx((0.99 * floor / 0.01) ** 0.5, 1e-3)


# --- what is kept --------------------------------------------------------------------------------


def test_self_labels_fill_only_what_has_no_labels() -> None:
    torch.manual_seed(0)
    answers = SelfLabels(PDBridgeNet(preset("nano")), torch.device("cpu"))
    labelled, bare = BoxRooms(1, (32, 64))[0], BoxRooms(1, (32, 64), without="depth")[0]
    batch = collate([labelled, bare])
    filled = answers.fill(batch)
    said = answers.net(batch.image.float()).final["depth"]
    assert torch.equal(filled.depth[0], batch.depth[0])
    assert torch.equal(filled.depth_valid[0], batch.depth_valid[0])
    assert torch.equal(filled.depth[1], said[1])
    assert filled.depth_valid[1].all()
    assert torch.equal(filled.semseg, batch.semseg)
    assert torch.equal(filled.normals, batch.normals)
    classes = collate([BoxRooms(1, (32, 64), without="semseg")[0]])
    assert (answers.fill(classes).semseg < 18).all()
    assert answers.fill(classes).confidence.max() <= 1


def test_what_nobody_labels_is_not_forgotten(tmp_path: Path) -> None:
    """Trained on classes and normals, depth stays nearer to what it was if that is kept."""
    torch.manual_seed(0)
    start = PDBridgeNet(preset("nano")).eval()
    save_pretrained(start, tmp_path / "start")
    picture = BoxRooms(1, (32, 64))[0].image[None].float()
    drift = {}
    for keep in (False, True):
        config = quick_config(
            stages=(Stage(32, 64, 20, 2),),
            network="",
            keep_unlabelled=keep,
            freeze_norm=True,
            losses=LossConfig(depth_kind="log_l1", auxiliary=0.0),
        )
        run, init = tmp_path / f"keep{keep}", tmp_path / "start.safetensors"
        train(config, box_data(without="depth"), run, init=init)
        now = from_pretrained(best_weights(run))
        with torch.no_grad():
            ratio = now(picture).final["depth"] / start(picture).final["depth"]
        drift[keep] = ratio.log().abs().mean().item()
    assert drift[True] < 0.5 * drift[False]
