"""The arguments of `mtpano label`."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import dataclass, fields
from pathlib import Path

from mtpano_model.data.sources import MeasuredName
from mtpano_model.engine_names import MOST_THREADS
from mtpano_model.errors import MtpanoError
from mtpano_model.labels.config import LabelConfig
from mtpano_model.labels.job.engines import check_engine

# What changes neither the labels nor which pictures get some.
_ONLY_HOW = {
    "out", "noncommercial", "limit", "batch", "device", "threads", "on", "worker", "tasks",
    "status", "failed", "preview",
}  # fmt: skip


@dataclass(frozen=True)
class LabelRequest:
    """Make pseudo-labels for panoramas with teacher models.

    After an interruption, run it again with the same settings: it continues, and labels nothing
    twice. A kill or a full disk loses nothing that is already in the store.
    """

    out: Path
    """Folder of the store; it is created if it does not exist."""
    teacher: tuple[str, ...] = ()
    """One or more of moge2, moge2-normals, moge3, metric-anything, da3metric, depth-anything (depth
    or normals); dap, da2, da360, pager, unik3d (depth of whole panoramas); mask2former, eomt,
    oneformer, segformer, ade20k32 (classes); pd-bridgenet, oracle (all). NAME:SOURCE chooses other
    weights: a folder, a file or a repository of the Hugging Face hub. Several teachers of depth,
    or of classes, are merged."""
    noncommercial: bool = False
    """Allow pager and unik3d, whose licences forbid commercial use."""
    input: Path | None = None
    """Folder of 2:1 pictures, one picture, or a rosbag2 (folder, .mcap or .db3) with pictures or
    H.264 / H.265 video."""
    rig: Path | None = None
    """A rig file (`mtpano rig template`) or Kalibr's camchain, if --input has pictures of lenses:
    a bag with their topics, pictures that show all lenses, or a folder with a folder of pictures
    for each lens."""
    topic: str | None = None
    """Image topic of the bag; needed only if the bag has several."""
    every: int = 1
    """Label only every Nth picture of the bag, or of the rig."""
    data: MeasuredName | None = None
    """Label the pictures of this kind of data set, in --root, instead of --input."""
    root: Path | None = None
    """Folder of the data set."""
    limit: int | None = None
    """Stop when the store holds this many panoramas."""
    height: int | None = None
    """Rows of the label maps, which have twice as many columns; at most 2048. The default is 512,
    or the data set's own height with --data."""
    patches: int = LabelConfig.patches
    """Perspective patches per panorama."""
    patch_size: int = LabelConfig.patch_size
    """Rows and columns of a patch in pixels."""
    pitch: tuple[float, float] | None = None
    """Range of the patches' pitch in degrees; the default is what all teachers prefer."""
    hfov: tuple[float, float] = LabelConfig.hfov_deg
    """Range of the patches' horizontal field of view in degrees."""
    class_set: str = LabelConfig.class_set
    """Classes of the labels."""
    batch: int = LabelConfig.batch
    """Patches that a teacher labels at once."""
    seed: int = LabelConfig.seed
    """Seed of the patches' directions, which also depend on the picture's name."""
    device: str = "auto"
    """Device of the teachers: cpu, cuda, cuda:1; auto uses a GPU if there is one."""
    threads: int = 1
    """CPU threads of a process. More threads help only large teachers; more processes help all."""
    on: str | None = None
    """Where to label: local:N for N processes of this machine, ray or ray:N for N tasks at a time
    on Ray, slurm:N to submit a SLURM job array of N elements. Processes share the GPUs there are,
    each with one of its own."""
    worker: str | None = None
    """K/N: label as the K-th of N processes that you start yourself, K from 0. Each begins with
    its share of the tasks and then does what others have left, also if they died."""
    tasks: int | None = None
    """Number of tasks for --on and --worker. The default is that of the store's last run, or
    follows from the number of pictures."""
    status: bool = False
    """Only print how many tasks of --out are done, running, lost, failed and waiting."""
    failed: bool = False
    """Only print which tasks of --out failed and which pictures were skipped, and why."""
    teacher_scale_drift: float = 0.0
    """For tests with the oracle: its depth scale varies by this much per patch (0.2: 20 %)."""
    preview: bool = False
    """Write pictures of the first twelve panoramas' labels to OUT/preview."""

    def check(self) -> None:
        """MtpanoError if the arguments contradict each other or are out of range; reads no file."""
        for name, most in {"every": 10**9, "limit": 10**9, "threads": MOST_THREADS}.items():
            count = getattr(self, name)
            if count is not None and not 1 <= count <= most:
                raise MtpanoError(f"--{name} {count}: expected 1 to {most}")
        if not 0 <= self.teacher_scale_drift < 10:
            raise MtpanoError(f"--teacher-scale-drift {self.teacher_scale_drift}: expected 0 to 10")
        if self.worker is not None:
            worker_share(self.worker)
        if self.on is not None:
            check_engine(self.on)
        if self.on is not None and self.worker is not None:
            raise MtpanoError("--on starts the processes, --worker is one of them: give one")
        if self.tasks is not None and self.on is self.worker is None:
            raise MtpanoError("--tasks is for --on and --worker: leave it out, or give one of them")

    def digest(self, pictures: str) -> str:
        """Digest of the pictures and of all settings that change their labels.

        pictures: `PanoramaSource.identity`.
        """
        settings = {
            field.name: str(getattr(self, field.name))
            for field in fields(self)
            if field.name not in _ONLY_HOW
        }
        text = json.dumps([settings, pictures])
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()

    def command(self) -> list[str]:
        """The command line of this request, without the options that say where it runs."""
        words = [sys.executable, "-m", "mtpano_model", "label"]
        for field in fields(self):
            value = getattr(self, field.name)
            if value == field.default or field.name in ("on", "worker", "tasks"):
                continue
            words.append(f"--{field.name.replace('_', '-')}")
            if value is not True:
                words += map(str, value if isinstance(value, tuple) else [value])
        return words


def worker_share(text: str) -> tuple[int, int]:
    """K and N of K/N; MtpanoError if it is something else."""
    share = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", text)
    if share and int(share[1]) < int(share[2]):
        return int(share[1]), int(share[2])
    raise MtpanoError(f"worker '{text}' is not a share: expected K/N with K below N, such as 0/4")
