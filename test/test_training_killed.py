"""Two processes train pretrain_label_free on labelled rooms, are killed, and go on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from box_room import write_rooms
from killed_program import STEPS, config_of, data_of

from mtpano_model.commands import main as mtpano
from mtpano_model.errors import MtpanoError
from mtpano_model.network.pretrained import read_tensors
from mtpano_model.training.checkpoint import latest_checkpoint
from mtpano_model.training.loop import train
from mtpano_model.training.stream import StreamSampler

TEST = Path(__file__).parent


def launch(store: Path, *runs: str, kill: str = "") -> subprocess.CompletedProcess[str]:
    """Two processes under torchrun."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(TEST.parent), str(TEST)]),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         str(TEST / "killed_program.py"), str(store), "1", *runs],
        env=environment | ({"KILL": kill} if kill else {}),
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip


def losses_of(run: Path) -> list[float]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line["total"] for line in lines if "total" in line]


def weights_of(run: Path) -> torch.Tensor:
    tensors = read_tensors(latest_checkpoint(run) / "net.safetensors")
    names = sorted(n for n in tensors if "running_" not in n and "num_batches" not in n)
    return torch.cat([tensors[name].double().flatten() for name in names])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of labelled rooms; runs that were killed after three steps (`cut`), the same resumed
    (`resumed`), that of ddp resumed as fsdp (`crossed`), and one of ddp that nobody disturbed
    (`whole`)."""
    root = tmp_path_factory.mktemp("killed")
    write_rooms(root / "rooms", count=8)
    store = root / "store"
    assert mtpano(["label", "--data", "rooms", "--root", str(root / "rooms"), "--teacher", "oracle",
                   "--out", str(store), "--patches", "4", "--patch-size", "32"]) == 0  # fmt: skip
    for strategy, kill in (("ddp", "1@3"), ("fsdp", "all@3")):
        done = launch(store, f"{strategy}={root / strategy}.cut", kill=kill)
        assert done.returncode != 0
        assert latest_checkpoint(root / f"{strategy}.cut"), done.stderr[-3000:]
        shutil.copytree(root / f"{strategy}.cut", root / f"{strategy}.resumed")
    shutil.copytree(root / "ddp.cut", root / "crossed")
    runs = [f"{s}={root / s}.resumed" for s in ("ddp", "fsdp")]
    done = launch(store, *runs, f"fsdp={root / 'crossed'}", f"ddp={root / 'whole'}")
    assert done.returncode == 0, done.stderr[-3000:]
    return root


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_run_of_two_processes_goes_on_exactly(root: Path) -> None:
    """One rank of ddp was killed; of fsdp both and their launcher."""
    whole = losses_of(root / "whole")
    assert len(whole) == STEPS
    assert losses_of(root / "ddp.resumed") == whole
    assert losses_of(root / "fsdp.resumed") == pytest.approx(whole, rel=1e-4)
    assert losses_of(root / "crossed") == pytest.approx(whole, rel=1e-4)
    assert torch.equal(weights_of(root / "ddp.resumed"), weights_of(root / "whole"))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_one_process_goes_on_with_what_two_began(root: Path, tmp_path: Path, strategy: str) -> None:
    """Twice the batches a step: the same panoramas, and so nearly the same network."""
    cut, whole = root / f"{strategy}.cut", root / "whole"
    run = tmp_path / "run"
    shutil.copytree(cut, run)
    train(config_of("auto", 2), data_of(root / "store"), run, resume=True)
    assert latest_checkpoint(run).name == f"step_{STEPS:08d}"
    way = (weights_of(whole) - weights_of(cut)).norm()
    off = (weights_of(run) - weights_of(whole)).norm()
    assert off < 0.3 * way  # dropout is another


@pytest.mark.slow
def test_what_does_not_fit_is_one_sentence(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "ddp.cut", tmp_path / "run")
    with pytest.raises(MtpanoError, match=r"by 2 processes, now there are 1: resume with as many, "
                       r"or with --set accumulate=2, or start"):  # fmt: skip
        train(config_of("auto", 1), data_of(root / "store"), tmp_path / "run", resume=True)


def test_as_many_processes_times_parts_see_the_same_panoramas_in_a_step() -> None:
    def seen(world: int, parts: int, step: int) -> set[int]:
        positions = set()
        for rank in range(world):
            sampler = StreamSampler([9], 2, 5 * parts, seed=0, rank=rank, world=world)
            draws = list(sampler)[step * parts : (step + 1) * parts]
            positions |= {draw.position for batch in draws for draw in batch}
        return positions

    for step in range(5):
        assert seen(4, 1, step) == seen(2, 2, step) == seen(1, 4, step)
        assert len(seen(4, 1, step)) == 8
