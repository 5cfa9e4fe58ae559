"""All settings of a training run as documented dataclasses; `presets` has named values of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from mtpano_model.data.augment import AugmentConfig
from mtpano_model.data.sources import DataName
from mtpano_model.errors import MtpanoError
from mtpano_model.training.losses import LossConfig

_LARGEST_SEED = 2**32 - 1  # every step's own seed, a million times as large, fits 64 bits


def _refuse_below(config: Any, least: dict[str, int], where: str = "") -> None:
    for key, bound in least.items():
        value = getattr(config, key)
        if not value >= bound:  # NaN is refused as well
            raise MtpanoError(f"{where}{key} is {value}: expected at least {bound}")


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one picture size.

    height, width: of the pictures. steps: optimizer steps. batch: panoramas per step and process.
    learn: "heads" trains only the two aggregators and the initial and auxiliary heads, with merged
        depth labels and unclamped losses (the paper's warm-up); "all" trains everything.
    """

    height: int
    width: int
    steps: int
    batch: int
    learn: Literal["all", "heads"] = "all"

    def __post_init__(self) -> None:
        if self.height < 1 or self.width != 2 * self.height:
            raise MtpanoError(
                f"picture size {self.height}x{self.width} is not that of a panorama: give "
                "HEIGHTxWIDTH with WIDTH = 2 x HEIGHT, for example 256x512"
            )
        if self.steps < 1 or self.batch < 1:
            raise MtpanoError(
                f"a stage of {self.steps} steps of {self.batch} panoramas trains nothing: give at "
                "least one of each"
            )


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer and its learning rates.

    kind: Adam (weight decay as in the paper: an L2 term) or AdamW.
    lr, backbone_lr: peak learning rates. heads_lr: constant rate of a stage that learns heads.
    weight_decay: on weights of two and more dimensions.
    schedule: "poly" falls as (1 - progress)^power, "cosine" to zero.
    warmup: steps of linear rise. clip: largest norm of the gradient.
    ema: decay of the moving average of the weights that validation and export use; 0 = none.
    """

    kind: Literal["adam", "adamw"] = "adam"
    lr: float = 2e-5
    backbone_lr: float = 2e-5
    heads_lr: float = 1e-3
    weight_decay: float = 5e-6
    schedule: Literal["poly", "cosine"] = "poly"
    power: float = 0.9
    warmup: int = 0
    clip: float = 10.0
    ema: float = 0.0

    def __post_init__(self) -> None:
        rates = ("lr", "backbone_lr", "heads_lr", "weight_decay", "warmup")
        _refuse_below(self, dict.fromkeys(rates, 0), "optimizer.")
        if not self.clip > 0:
            raise MtpanoError(
                f"optimizer.clip is {self.clip}: expected more than 0 (.inf clips nothing)"
            )
        if not 0 <= self.ema < 1:
            raise MtpanoError(
                f"optimizer.ema is {self.ema}: expected a decay below 1, such as 0.999, or 0 for "
                "no average"
            )


@dataclass(frozen=True)
class ParallelConfig:
    """How many processes share the work; torchrun and SLURM set all of it.

    devices: processes per machine; 0 takes the launcher's number, or one without a launcher.
    nodes: machines; 0 likewise. accelerator: "cpu", "cuda", or "auto" for a GPU if there is one.
    strategy: "ddp" copies the network to every process, "fsdp" shards it (without moving average).
    """

    devices: int = 0
    nodes: int = 0
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"

    def __post_init__(self) -> None:
        _refuse_below(self, {"devices": 0, "nodes": 0}, "parallel.")


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    preset: the name it started from.
    network: a preset of `mtpano_model.network`; "" takes that of `--init`.
    backbone_weights: DINOv3 weights to start a DINOv3 backbone from, a folder or a name on the
        Hugging Face hub; "" for none. EfficientNet-Lite always starts from ImageNet.
    init_partly: load the tensors of `--init` that fit the network by name and shape, and start the
        others from random weights; for a network whose sizes have changed.
    data: kind of the data set; `--data-root` is its folder. class_set: the classes that the network
        predicts; "" takes the network's own.
    stages: picture sizes and steps, one after another under one schedule.
    optimizer, losses, augment, parallel: see there.
    patch_depth: after the warm-up of the heads, supervise depth with one random patch of a teacher
        per step instead of the merged map, since a teacher's scale drifts from patch to patch (data
        "store").
    keep_unlabelled: if a panorama has no labels of a task at all, use the network's predictions
        from before the training as labels, so that it does not forget the task.
    freeze_norm: leave batch normalisation as it is (small data sets, small batches).
    freeze: parts of the network that stay as they are, by their names in the checkpoint, such as
        backbone and bridges. Steps are then cheaper, and fewer weights change.
    accumulate: number of batches whose gradients a step adds up.
    precision: "bf16-mixed" computes the network in bfloat16; losses stay in float32.
    workers: processes that load and augment panoramas; 0: the training process does.
    seed: of the data order, the augmentation and the initial weights.
    eval_every, log_every: steps between validations and between log lines. eval_frames: largest
        number of validation frames, taken evenly. pictures: validation frames drawn each time.
    patience: stop after this many validations of the last stage without a better score, and keep
        the best weights; 0: never.
    checkpoint_minutes: time between checkpoints.
    """

    preset: str = "rooms_small"
    network: str = "small"
    backbone_weights: str = ""
    init_partly: bool = False
    data: DataName = "rooms"
    class_set: str = ""
    stages: tuple[Stage, ...] = (Stage(128, 256, 8000, 8), Stage(256, 512, 1500, 4))
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    patch_depth: bool = False
    keep_unlabelled: bool = False
    freeze_norm: bool = False
    freeze: tuple[str, ...] = ()
    accumulate: int = 1
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    workers: int = 1
    seed: int = 0
    eval_every: int = 500
    eval_frames: int = 200
    pictures: int = 4
    log_every: int = 20
    patience: int = 0
    checkpoint_minutes: float = 4.0

    def __post_init__(self) -> None:
        learn = [stage.learn for stage in self.stages]
        if "all" not in learn or learn != sorted(learn, key=["heads", "all"].index):
            raise MtpanoError(
                f"stages learn {', '.join(learn) or 'nothing'}: expected at least one that learns "
                "'all', and 'heads' only before it"
            )
        ones = ("accumulate", "eval_every", "eval_frames", "log_every")
        zeros = ("workers", "seed", "pictures", "patience", "checkpoint_minutes")
        _refuse_below(self, dict.fromkeys(ones, 1) | dict.fromkeys(zeros, 0))
        _refuse_below(self.losses, {"initial_stride": 1}, "losses.")
        if self.seed > _LARGEST_SEED:
            raise MtpanoError(f"seed is {self.seed}: expected at most {_LARGEST_SEED}")

    @property
    def total_steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    @property
    def head_steps(self) -> int:
        """Steps before everything learns."""
        return sum(stage.steps for stage in self.stages if stage.learn == "heads")
