"""`mtpano rig`: a dual fisheye is refined from its overlap, checked and described."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fisheye_views import back_to_back, bundled, rig_pictures
from lenses import LENSES

from mtpano_model.commands import main
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry import sphere
from mtpano_model.pictures.files import read_picture, write_picture
from mtpano_model.rig.calibration import refine
from mtpano_model.rig.check import dark_rims
from mtpano_model.rig.overlaps import find_overlaps
from mtpano_model.rig.reading import read_rig
from mtpano_model.rig.rig import Rig
from mtpano_model.rig.writing import rig_yaml

TRUE = back_to_back(LENSES["equidistant"].scaled_to((720, 736)))


def disturbed(rig: Rig) -> Rig:
    """As a nominal calibration is off: 5 pixels, 1 % of focal length, 1.5 degrees, distortion."""
    front, back = rig.lenses

    def off(camera, dx, dy, factor):
        (fx, fy), (cx, cy) = camera.focal, camera.center
        k1, k2, *rest = camera.distortion
        return replace(
            camera,
            focal=(fx * factor, fy * factor),
            center=(cx + dx, cy + dy),
            distortion=(k1 + 0.004, k2 - 0.001, *rest),
        )

    turn = sphere.yaw_matrix(0.02) @ sphere.pitch_matrix(-0.015) @ sphere.roll_matrix(0.02)
    return replace(
        rig,
        lenses=(
            replace(front, camera=off(front.camera, 4, -3, 1.01)),
            replace(back, camera=off(back.camera, -3, 4, 0.99), rotation=turn @ back.rotation),
        ),
    )


def seam_error(rig: Rig) -> float:
    """Degrees by which the lenses disagree where both look, by the truth, not by pictures.

    A direction that the true rig sees by pixels of both lenses; the angle of the rays that the
    given rig makes of those pixels.
    """
    turn = np.linspace(0, 2 * np.pi, 360)
    rays = np.stack([np.cos(turn), np.sin(turn), np.zeros(360)], -1)
    seen = []
    for true, lens in zip(TRUE.lenses, rig.lenses, strict=True):
        columns, rows, _ = true.camera.project(rays @ true.rotation)
        seen.append(lens.camera.unproject(columns, rows)[0] @ lens.rotation.T)
    return float(np.degrees(np.median(np.linalg.norm(seen[0] - seen[1], axis=1))))


@pytest.fixture(scope="module")
def moments() -> list[dict]:
    return [rig_pictures(bundled(name), TRUE) for name in ("workshop", "lab")]


def test_a_true_rig_agrees_with_itself(moments) -> None:
    (overlap,) = find_overlaps(TRUE, moments[0])
    assert len(overlap.degrees) > 100
    assert np.median(overlap.degrees) < 0.1
    assert overlap.difference < 3


def test_a_disturbed_rig_is_refined(moments) -> None:
    nominal = disturbed(TRUE)
    refined = refine(nominal, moments)
    assert seam_error(nominal) > 1.0
    assert seam_error(refined.rig) < 0.15
    assert refined.after < 0.15 < refined.before


def test_a_rig_that_was_right_stays_right(moments) -> None:
    assert seam_error(refine(TRUE, moments[:1]).rig) < 0.1


def test_too_little_to_see_is_said() -> None:
    flat = {
        "front": np.full((720, 736, 3), 90, np.uint8),
        "back": np.full((720, 736, 3), 90, np.uint8),
    }
    with pytest.raises(MtpanoError, match="only 0 points are seen by both lenses, expected 40"):
        refine(TRUE, [flat])
    with pytest.raises(MtpanoError, match="1 calibrated lenses, expected the two"):
        refine(Rig(TRUE.lenses[:1]), [flat])


def test_a_lens_that_sees_less_than_it_claims_is_told(moments) -> None:
    narrow = back_to_back(replace(TRUE.lenses[0].camera, field_of_view=180))
    pictures = rig_pictures(bundled("lab"), narrow)
    (first, second) = dark_rims(TRUE, pictures)
    assert "'front' has a field_of_view of 200 degrees, but its picture is dark beyond 18" in first
    assert "set field_of_view to 18" in second
    assert dark_rims(TRUE, moments[0]) == []


def test_the_command(tmp_path, moments, capsys) -> None:
    (tmp_path / "rig.yaml").write_text(rig_yaml(disturbed(TRUE)))
    paths = []
    for number, moment in enumerate(moments):
        for topic, picture in moment.items():
            paths.append(str(tmp_path / f"{topic}{number}.png"))
            write_picture(tmp_path / f"{topic}{number}.png", picture)
    better = tmp_path / "better.yaml"
    rig = str(tmp_path / "rig.yaml")
    assert main(["rig", "calibrate", rig, *paths, "--out", str(better)]) == 0
    assert seam_error(read_rig(better)) < 0.2
    out = tmp_path / "out"
    assert main(["rig", "check", str(better), *paths[:2], "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "front: fills 50." in said or "front: fills 49." in said
    assert "no lens sees 0.0 % of the sphere" in said
    assert "degrees apart" in said
    assert read_picture(out / "panorama.png").size == (512, 1024)
    assert read_picture(out / "shares.png").size == (512, 1024)
    assert main(["rig", "check", str(better), paths[0], "--out", str(out)]) == 1
    assert "give one picture per topic" in capsys.readouterr().err
    assert main(["rig", "template", "theta"]) == 0
    assert "lenses:" in capsys.readouterr().out
