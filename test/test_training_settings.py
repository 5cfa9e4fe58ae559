"""Configurations: presets, YAML and flags, and what a wrong key is answered with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tyro
import yaml

from mtpano_model.commands.train import Args, config_of, run
from mtpano_model.errors import MtpanoError
from mtpano_model.settings import first_difference, parse_assignments, plain, updated
from mtpano_model.training.config import Stage, TrainConfig
from mtpano_model.training.presets import PRESETS, training_preset


def parse(*arguments: str) -> TrainConfig:
    return config_of(tyro.cli(Args, args=["--data-root", "d", "--out", "o", *arguments]))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_yaml(name: str) -> None:
    config = PRESETS[name]
    assert updated(TrainConfig(), yaml.safe_load(yaml.safe_dump(plain(config)))) == config


def test_the_paper_s_numbers() -> None:
    config = training_preset("pretrain_label_free")
    assert [(s.steps, s.learn) for s in config.stages] == [(1000, "heads"), (100_000, "all")]
    assert {s.batch for s in config.stages} == {4}
    optimizer = config.optimizer
    assert (optimizer.lr, optimizer.backbone_lr, optimizer.heads_lr) == (2e-5, 2e-5, 1e-3)
    assert (optimizer.weight_decay, optimizer.power, optimizer.clip) == (5e-6, 0.9, 10)
    assert config.losses.initial == 0.3
    assert config.losses.auxiliary == 0.003
    steps = {
        n: [s.steps for s in training_preset(f"finetune_{n}").stages]
        for n in ("structured3d", "stanford2d3d", "matterport3d")
    }
    assert steps == {
        "structured3d": [500, 30_000],
        "stanford2d3d": [200, 1000],
        "matterport3d": [100, 1000],
    }


def test_flags_file_and_settings_in_that_order(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("optimizer: {lr: 1e-4, clip: 2}\nlosses: {dice: 0}\nworkers: 3\n")
    config = parse("--config", str(file), "--workers", "2", "--set", "losses.dice=0.25")
    assert config.optimizer.lr == 1e-4
    assert config.optimizer.clip == 2.0
    assert config.workers == 2
    assert config.losses.dice == 0.25
    assert config.losses.depth_kind == "log_l1"  # the preset's


def test_stage_flags(tmp_path: Path) -> None:
    assert parse().stages == (Stage(128, 256, 8000, 8), Stage(256, 512, 1500, 4))
    assert parse(
        "--size", "64x128", "--steps", "10", "--batch", "2", "--final-steps", "3"
    ).stages == (Stage(64, 128, 10, 2), Stage(256, 512, 3, 4))
    assert parse("--final-size", "none").stages == (Stage(128, 256, 8000, 8),)
    heads, main = parse("--preset", "finetune_structured3d", "--size", "256x512").stages
    assert (heads.learn, heads.width, heads.steps) == ("heads", 512, 500)
    assert (main.learn, main.width, main.steps) == ("all", 512, 30_000)
    three = tmp_path / "three.yaml"
    stages = [{"height": 32, "width": 64, "steps": steps, "batch": 1} for steps in (10, 20, 30)]
    three.write_text(yaml.safe_dump({"stages": stages}))
    changed = parse("--config", str(three), "--steps", "7", "--size", "64x128").stages
    assert [(stage.steps, stage.height) for stage in changed] == [(7, 64), (7, 64), (30, 32)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimiser": {}}, r"unknown key 'optimiser': did you mean 'optimizer'\?"),
        ({"optimizer": {"learning": 1}}, r"unknown key 'optimizer\.learning': expected one of"),
        ({"losses": {"depth_knd": "l1"}}, r"did you mean 'depth_kind'\?"),
        ({"losses": {"depth_kind": "log_l2"}}, r"losses\.depth_kind is 'log_l2': did you mean"),
        ({"seed": "seven"}, r"seed is 'seven': expected int"),
        ({"freeze": "backbone"}, r"freeze is 'backbone': expected a list, such as \[a, b\]"),
        ({"optimizer": {"lr": "fast"}}, r"optimizer\.lr is 'fast': expected float"),
        ({"keep_unlabelled": 1}, r"keep_unlabelled is 1: expected bool"),
        ({"stages": [{"height": 32, "wdith": 64}]}, r"did you mean 'width'\?"),
        ({"stages": [{"height": 32, "width": 64}]}, r"stages\[0\] lacks 'steps'"),
        ({"stages": []}, r"expected at least one that learns 'all'"),
        ({"eval_every": 0}, r"eval_every is 0: expected at least 1"),
        ({"log_every": 0}, r"log_every is 0: expected at least 1"),
        ({"accumulate": 0}, r"accumulate is 0: expected at least 1"),
        ({"workers": -1}, r"workers is -1: expected at least 0"),
        ({"optimizer": {"lr": -1e-3}}, r"optimizer\.lr is -0\.001: expected at least 0"),
        ({"optimizer": {"clip": 0}}, r"optimizer\.clip is 0\.0: expected more than 0"),
        ({"optimizer": {"ema": 1}}, r"optimizer\.ema is 1\.0: expected a decay below 1"),
        ({"parallel": {"devices": -1}}, r"parallel\.devices is -1: expected at least 0"),
    ],
)
def test_mistakes_are_answered_with_the_right_key(values: dict[str, Any], message: str) -> None:
    with pytest.raises(MtpanoError, match=message):
        updated(TrainConfig(), values)


def test_more_mistakes(tmp_path: Path) -> None:
    with pytest.raises(MtpanoError, match=r"did you mean 'rooms_small'\?"):
        training_preset("room_small")
    with pytest.raises(MtpanoError, match="--threads 0 is too small"):
        run(Args(data_root=tmp_path, out=tmp_path, threads=0))
    with pytest.raises(MtpanoError, match="KEY=VALUE"):
        parse_assignments(["optimizer.lr"])
    with pytest.raises(MtpanoError, match=r"'stages=\[\{height: 1' is not YAML \(expected ',' or"):
        parse_assignments(["stages=[{height: 1"])
    with pytest.raises(
        MtpanoError, match="sets a part of 'optimizer', which another setting makes"
    ):
        parse_assignments(["optimizer=1", "optimizer.lr=2"])
    with pytest.raises(MtpanoError, match="is not HEIGHTxWIDTH"):
        parse("--size", "256")
    with pytest.raises(MtpanoError, match="100x256 is not that of a panorama"):
        parse("--size", "100x256")
    with pytest.raises(MtpanoError, match="cannot be read"):
        parse("--config", str(tmp_path / "none.yaml"))
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    with pytest.raises(MtpanoError, match="is not YAML"):
        parse("--config", str(broken))


def test_the_first_difference_is_named() -> None:
    old, new = plain(TrainConfig()), plain(TrainConfig(seed=3))
    assert first_difference(old, new) == ("seed", 0, 3)
    nested = plain(updated(TrainConfig(), {"optimizer": {"lr": 1.0}}))
    assert first_difference(old, nested) == ("optimizer.lr", 2e-5, 1.0)
    assert first_difference(old, old) is None
