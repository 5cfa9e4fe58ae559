"""Protocols of the benchmarks by name: what is scored, clamped and averaged."""

from __future__ import annotations

from dataclasses import dataclass

from mtpano_model.errors import MtpanoError

MIN_DEPTH_M = 1e-3  # nearer ground truth is not scored; predictions are clamped to it


@dataclass(frozen=True)
class Protocol:
    """Rules of one benchmark.

    max_depth: metres; ground truth from there on is not scored, predictions are clamped to it.
    log10: RMSE log in decades instead of natural logarithms.
    invalid_normals_count: pixels without a ground-truth normal count as an error of 0 degrees.
    normals_per_batch: average the normals' figures over groups of this many frames instead of
        pooling all pixels (0: pool).
    unscored: class ids (of the class set named) that the mean IoU leaves out.
    common_classes_only: `miou` is over classes with more than 0.1 % of the ground truth's pixels.
    reported_split: the split that published numbers are of.
    """

    name: str
    max_depth: float | None = None
    log10: bool = False
    invalid_normals_count: bool = False
    normals_per_batch: int = 0
    class_set: str = "indoor18"
    unscored: tuple[int, ...] = ()
    common_classes_only: bool = False
    reported_split: str = "val"


PROTOCOLS = {
    p.name: p
    for p in (
        Protocol("rooms", common_classes_only=True),
        # Teachers err, and a class that they name in a few pixels is most often such an error.
        Protocol("store", common_classes_only=True),
        # The 29 classes that the paper reports: NYU40 without those that hardly occur.
        Protocol(
            "structured3d",
            class_set="nyu40",
            unscored=(9, 12, 19, 20, 22, 25, 26, 27, 29, 30, 36),
        ),
        Protocol("stanford2d3d", max_depth=10.0, class_set="stanford13"),
        Protocol("matterport3d", max_depth=10.0, class_set="nyu40", reported_split="test"),
        # No published protocols: ours.
        Protocol("panocarla", class_set="outdoor19", reported_split="test"),
        Protocol("zuripano", class_set="outdoor19", reported_split="test"),
        Protocol("panoinfinigen", class_set="outdoor19", reported_split="test"),
        Protocol("zind", class_set="nyu40", reported_split="test"),
        # The authors' way on Matterport3D, for comparison with their table only.
        Protocol(
            "360mtl",
            max_depth=10.0,
            log10=True,
            invalid_normals_count=True,
            normals_per_batch=1,
            class_set="nyu40",
            reported_split="test",
        ),
    )
}


def find_protocol(name: str) -> Protocol:
    """A protocol by name; MtpanoError lists the known ones."""
    if name not in PROTOCOLS:
        raise MtpanoError(f"unknown protocol '{name}': expected one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
