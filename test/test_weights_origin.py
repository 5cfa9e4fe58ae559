"""What goes with weights: licence and origin from run to run, and a place for what they become."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from box_rooms import box_data, quick_config

from mtpano_model.network import PDBridgeNet, preset
from mtpano_model.network.pretrained import read_facts, save_pretrained
from mtpano_model.training.checkpoint import best_weights, lasting_folder, latest_checkpoint
from mtpano_model.training.config import Stage, TrainConfig
from mtpano_model.training.loop import train
from mtpano_model.training.starting_point import licence_of


def test_a_run_inherits_the_licence_of_what_it_started_from(tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    extra = {"license": "CC BY-NC 4.0", "trained_on": "a cellar"}
    save_pretrained(PDBridgeNet(preset("nano")), start, extra=extra)
    config = quick_config(stages=(Stage(32, 64, 1, 2),))
    train(config, box_data(), tmp_path / "run", init=start)
    facts = read_facts(best_weights(tmp_path / "run"))["extra"]
    assert facts["license"] == "CC BY-NC 4.0"
    assert facts["trained_on"] == "rooms (preset test); before: a cellar"
    kept = licence_of(config, None, latest_checkpoint(tmp_path / "run"))  # resumed without --init
    assert kept == {key: facts[key] for key in ("license", "trained_on")}


def test_the_shipped_model_states_its_licence_and_other_starts_do_not_claim_it() -> None:
    config = TrainConfig()
    assert licence_of(config, Path("default"), None)["license"] == "Apache-2.0"
    assert licence_of(config, None, None) == {
        "license": "unknown",
        "trained_on": "rooms (preset rooms_small); before: ImageNet (backbone)",
    }
    dinov3 = replace(config, network="base", backbone_weights="facebook/dinov3-vits16")
    assert licence_of(dinov3, None, None)["license"] == "DINOv3 License"


def test_an_export_goes_where_training_deletes_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for folder in (run / "checkpoints" / "step_00000007", run / "best"):
        folder.mkdir(parents=True)
        assert lasting_folder(folder / "average.safetensors") == run
    assert lasting_folder(tmp_path / "net.safetensors") == tmp_path
    assert lasting_folder(best_weights(Path("default"))) == Path()
