"""Two processes train like one: gradients, losses, shards, resuming."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from box_rooms import box_data, quick_config

from mtpano_model.errors import MtpanoError
from mtpano_model.network.pretrained import read_tensors
from mtpano_model.training.checkpoint import best_weights
from mtpano_model.training.config import ParallelConfig
from mtpano_model.training.loop import train
from mtpano_model.training.processes import start_fabric

TEST = Path(__file__).parent


def run(folder: Path, *launcher: str) -> Path:
    folder.mkdir()
    path = os.pathsep.join([str(TEST.parent), str(TEST)])
    program = [*launcher, str(TEST / "parallel_program.py"), str(folder)]
    done = subprocess.run(
        [sys.executable, *program],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What one process made, and what two made."""
    folder = tmp_path_factory.mktemp("parallel")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    return run(
        folder / "one",
    ), run(folder / "two", *torchrun)


def losses_of(folder: Path) -> list[float]:
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line["total"] for line in lines if "total" in line]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["all", "heads", "accumulated"])
def test_gradients_are_those_of_one_process(runs: tuple[Path, Path], what: str) -> None:
    """Four panoramas in one process, twice two in two; frozen normalisation statistics."""
    one, two = (torch.load(r / f"gradients_{what}.pt", weights_only=True) for r in runs)
    assert one.keys() == two.keys()
    if what == "heads":
        assert {name.split(".")[0] for name in one} == {"aggregators", "heads"}
    largest = max(gradient.abs().max() for gradient in one.values())
    for name, gradient in two.items():
        difference = (gradient - one[name]).abs().max()
        assert difference <= 1e-5 * largest, name


@pytest.mark.slow
def test_some_parameters_never_get_a_gradient(runs: tuple[Path, Path]) -> None:
    """Foreign squeeze convolutions as released: else the test above would prove less."""
    gradients = torch.load(runs[0] / "gradients_all.pt", weights_only=True)
    assert "bridges.invariant.squeeze.semseg.weight" in gradients
    assert "bridges.invariant.squeeze.normals.weight" not in gradients


@pytest.mark.slow
def test_sharded_training_is_the_same_training(runs: tuple[Path, Path]) -> None:
    _, two = runs
    whole = losses_of(two / "whole")
    assert len(whole) == 4
    assert losses_of(two / "sharded") == pytest.approx(whole, rel=1e-4)
    shards, full = (read_tensors(best_weights(two / name)) for name in ("sharded", "whole"))
    assert shards.keys() == full.keys()
    for name, tensor in full.items():
        torch.testing.assert_close(shards[name], tensor, rtol=1e-3, atol=2e-4)


@pytest.mark.slow
def test_a_sharded_run_resumes_exactly(runs: tuple[Path, Path]) -> None:
    _, two = runs
    assert losses_of(two / "halved") == losses_of(two / "sharded")


def test_another_number_of_processes_is_refused(tmp_path: Path) -> None:
    config = quick_config()
    train(config, box_data(), tmp_path)
    progress = next(tmp_path.glob("checkpoints/*/progress.json"))
    stored = json.loads(progress.read_text())
    progress.write_text(json.dumps({**stored, "world": 2}))
    with pytest.raises(MtpanoError, match="trained by 2 processes, now there are 1"):
        train(config, box_data(), tmp_path, resume=True)


def test_what_does_not_fit_the_launcher_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MtpanoError, match=r"optimizer\.ema=0"):
        start_fabric(quick_config(parallel=ParallelConfig(strategy="fsdp")))
    monkeypatch.setenv("SLURM_NTASKS", "8")
    monkeypatch.setenv("SLURM_NNODES", "2")
    with pytest.raises(MtpanoError, match="the launcher started 8 processes"):
        start_fabric(quick_config(parallel=ParallelConfig(devices=3)))
