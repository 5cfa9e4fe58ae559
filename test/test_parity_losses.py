"""`mtpano parity` on a folder of losses: agrees with the release, and notices when it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mtpano_model.commands import main
from mtpano_model.errors import MtpanoError
from mtpano_model.evaluation.losses_parity import TOLERANCE, compare, passes


@pytest.fixture(scope="module")
def fixture(reference: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    folder = reference / "losses_a"
    return load_file(folder / "tensors.safetensors"), json.loads(
        (folder / "values.json").read_text()
    )


def write(folder: Path, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> Path:
    save_file(tensors, folder / "tensors.safetensors")
    (folder / "values.json").write_text(json.dumps(values))
    return folder


def test_every_value_agrees_with_the_release(reference: Path) -> None:
    differences = compare(reference / "losses_a")
    off = differences.pop("edf_pixels_off")
    assert max(differences.values()) < TOLERANCE
    assert off < 1  # 99.8 % of the pixels whose nearest edge needs no wrap
    assert {name.split("/")[0] for name in differences} == {
        "losses",
        "parts",
        "depth_metrics",
        "normals_metrics",
        "semseg_metrics",
        "auxiliary_target",
    }


def test_nothing_in_the_releases_values_goes_unchecked(reference: Path) -> None:
    folder = reference / "losses_a"

    def paths(values: dict[str, Any], prefix: str) -> set[str]:
        found = set()
        for key, value in values.items():
            path = f"{prefix}{key}"
            found |= paths(value, f"{path}/") if isinstance(value, dict) else {path}
        return found

    stated = paths(json.loads((folder / "values.json").read_text()), "")
    assert stated <= set(compare(folder))


def test_the_command_prints_each_difference_and_succeeds(
    reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["parity", str(reference / "losses_a")]) == 0
    printed = capsys.readouterr().out
    assert "losses/total" in printed
    assert "agrees: limit 0.0001" in printed


@pytest.mark.parametrize(
    ("path", "factor"),
    [
        ("losses/normals", 1.001),
        ("parts/depth.l1_plus_freq", 0.999),
        ("normals_metrics/mean", 1.01),
    ],
)
def test_another_value_is_noticed(
    fixture: Any, tmp_path: Path, path: str, factor: float, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors, values = fixture
    changed = json.loads(json.dumps(values))
    group, name = path.split("/")
    changed[group][name] *= factor
    assert main(["parity", str(write(tmp_path, tensors, changed))]) == 1
    assert "DIFFERS" in capsys.readouterr().out
    differences = compare(tmp_path)
    assert [n for n, v in differences.items() if v > TOLERANCE and "edf" not in n] == [path]


def test_another_auxiliary_target_is_noticed(fixture: Any, tmp_path: Path) -> None:
    tensors, values = fixture
    moved = {**tensors, "auxiliary_target.sdf": tensors["auxiliary_target.sdf"] + 0.01}
    differences = compare(write(tmp_path, moved, values))
    assert differences["edf_pixels_off"] > 1
    assert not passes(differences)


def test_sizes_and_class_counts_come_from_the_tensors(fixture: Any, tmp_path: Path) -> None:
    """A quarter of the picture and 5 of 13 classes: the numbers change, the comparison runs."""
    tensors, values = fixture
    small = {k: v[..., ::2, ::2].contiguous() for k, v in tensors.items()}
    for name in ("pred.semseg", "initial.semseg"):
        small[name] = small[name][:, :5].contiguous()
    labels = small["gt.semseg"]
    small["gt.semseg"] = torch.where(labels == 255, labels, labels % 5)
    shorter = {**values, "semseg_metrics": {"miou": 0.1, "iou": [0.1] * 5}}
    differences = compare(write(tmp_path, small, shorter))
    assert differences["losses/semseg"] > TOLERANCE
    # Halving the resolution keeps the mean error roughly; a broken mask would not.
    assert differences["parts/depth.l1_only"] < 0.1


def test_a_broken_folder_is_one_sentence(
    fixture: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors, values = fixture
    with pytest.raises(MtpanoError, match=r"tensors.safetensors lacks pred.depth"):
        compare(write(tmp_path, {k: v for k, v in tensors.items() if k != "pred.depth"}, values))
    (tmp_path / "tensors.safetensors").write_bytes(b"\x00" * 100)
    assert main(["parity", str(tmp_path)]) == 1
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "values.json").unlink()
    assert main(["parity", str(tmp_path)]) == 1
    assert "is no reference folder" in capsys.readouterr().err
