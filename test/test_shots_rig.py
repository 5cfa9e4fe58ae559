"""A rig's lenses in bags and folders become panoramas for predict, label and the player."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from bag_files import compressed, raw, write_bag
from box_room import COLORS
from fake_model import write_fake_model
from fisheye_views import back_to_back, bundled, rig_pictures
from lenses import LENSES

from mtpano_model.commands import main
from mtpano_model.data.panorama import Panorama
from mtpano_model.data.rig import RigShots
from mtpano_model.errors import MtpanoError
from mtpano_model.inference.preprocess import preprocess
from mtpano_model.pictures.crop import FILLING
from mtpano_model.rig.rig import Rig
from mtpano_model.rig.writing import rig_yaml
from mtpano_model.shots.shot import open_shots
from mtpano_ros.tools.sources import open_source

SMALL = LENSES["equidistant"].scaled_to((360, 368))
SIZE = (64, 128)
MS = 1_000_000


@pytest.fixture(scope="module")
def rig() -> Rig:
    two = back_to_back(SMALL)
    return replace(two, lenses=tuple(replace(one, topic=f"/{one.name}") for one in two.lenses))


@pytest.fixture(scope="module")
def pictures(rig) -> dict[str, np.ndarray]:
    return rig_pictures(bundled("lab"), rig)


@pytest.fixture
def rig_file(rig, tmp_path) -> Path:
    path = tmp_path / "rig.yaml"
    path.write_text(rig_yaml(rig))
    return path


def rig_bag(path: Path, pictures, make=raw, count: int = 4, lacking=(), end: str = "") -> Path:
    """Both lenses at 10 Hz, the second 3 ms later; without it in the moments `lacking`."""
    messages = {f"{topic}{end}": [] for topic in pictures}
    for number in range(count):
        for late, (topic, picture) in enumerate(pictures.items()):
            if late and number in lacking:
                continue
            stamp = (100 * number + 3 * late + 1000) * MS
            messages[f"{topic}{end}"].append(make(picture, stamp))
    return write_bag(path, messages, as_stamped=True)


def differs(got: np.ndarray) -> float:
    direct = preprocess(bundled("lab"), SIZE)[0].astype(float)
    return float(np.abs(got - direct).mean())


@pytest.mark.parametrize(("make", "end"), [(raw, ""), (compressed, "/compressed")])
def test_two_topics_of_a_bag_become_the_panorama(make, end, rig_file, pictures, tmp_path) -> None:
    bag = rig_bag(tmp_path / "bag", pictures, make, end=end)
    shots = list(open_shots(bag, rig_file=rig_file).every)
    assert [shot.name for shot in shots] == [str((100 * n + 1003) * MS) for n in range(4)]
    panorama = shots[1].open(SIZE)
    assert panorama.seen is None
    assert differs(panorama.rgb) < 3
    assert len(list(open_shots(bag, every=3, rig_file=rig_file).every)) == 2


def test_a_moment_without_a_lens_goes_on_and_is_counted(
    rig_file, pictures, tmp_path, caplog
) -> None:
    bag = rig_bag(tmp_path / "bag", pictures, count=6, lacking=(2, 4))
    shots = list(open_shots(bag, rig_file=rig_file).every)
    half = [shot.open(SIZE).seen for shot in shots]
    assert [seen is None for seen in half] == [True, True, False, True, False, True]
    assert 0.3 < half[2].mean() < 0.7
    assert "2 of 6 moments lack a lens, 4 are complete" in caplog.text


def test_a_lens_that_was_not_recorded_is_told(rig_file, pictures, tmp_path, caplog) -> None:
    bag = rig_bag(tmp_path / "bag", {"/front": pictures["/front"]})
    (shot, *_) = open_shots(bag, rig_file=rig_file).every
    assert not shot.open(SIZE).seen.all()
    assert "topic /back was not recorded" in caplog.text
    other = rig_bag(tmp_path / "other", {"/elsewhere": pictures["/front"]})
    with pytest.raises(
        MtpanoError, match=r"no pictures on the rig's topics \(/front, /back\).*/elsewhere \(sens"
    ):
        open_shots(other, rig_file=rig_file)


def test_a_lens_of_another_type_or_codec_is_left_out_and_the_others_go_on(
    rig_file, pictures, tmp_path, caplog
) -> None:
    pytest.importorskip("av", reason="PyAV is not installed (extra video)")
    from bag_files import STORE
    from video_bags import foxglove

    front = {"/front": [raw(pictures["/front"], (n + 1) * 1000 * MS) for n in range(2)]}
    info = STORE.types["std_msgs/msg/String"]("no picture")
    vp9 = [foxglove(b"x", (n + 1) * 1000 * MS, "vp9") for n in range(2)]
    for number, other in enumerate(({"/back": [info]}, {"/back": vp9})):
        bag = write_bag(tmp_path / str(number), front | other)
        shots = list(open_shots(bag, rig_file=rig_file).every)
        assert [0.3 < shot.open(SIZE).seen.mean() < 0.7 for shot in shots] == [True, True]
    assert "packets of /back are left out: video codec 'vp9' is not supported" in caplog.text


def test_lenses_as_video_become_the_panorama(rig, tmp_path, caplog) -> None:
    from test_video import SIZE as VIDEO
    from test_video import encode
    from video_bags import image

    camera = LENSES["equidistant"]  # what the stream shows does not matter, only that it arrives
    camera = replace(camera, size=VIDEO, focal=(26.0, 26.0), center=(95.5, 47.5))
    lenses = tuple(replace(one, camera=camera) for one in rig.lenses)
    path = tmp_path / "rig.yaml"
    path.write_text(rig_yaml(replace(rig, lenses=lenses)))
    packets = encode("h264", 10, gop=5)
    messages = {
        lens.topic: [image(packets[n], (100 * n + 1000) * MS) for n in range(start, 10)]
        for lens, start in zip(lenses, (0, 3), strict=True)
    }
    shots = list(
        open_shots(write_bag(tmp_path / "bag", messages, as_stamped=True), rig_file=path).every
    )
    whole = [shot.open(SIZE).seen is None or shot.open(SIZE).seen.mean() > 0.9 for shot in shots]
    assert sum(whole) == 5  # the second lens waits for its key frame
    assert len(shots) == 8
    assert "2 pictures are left out" in caplog.text


def save(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rgb[..., ::-1])


def test_a_folder_for_each_lens(rig_file, pictures, tmp_path) -> None:
    for number in (2, 10, 1):
        for topic, picture in pictures.items():
            if (number, topic) != (10, "/back"):
                save(tmp_path / "in" / topic[1:] / f"{number}.png", picture)
    shots = list(open_shots(tmp_path / "in", rig_file=rig_file).every)
    assert [shot.name for shot in shots] == ["1", "2", "10"]
    assert differs(shots[0].open(SIZE).rgb) < 3
    assert shots[2].open(SIZE).seen is not None
    with pytest.raises(MtpanoError, match="expected front, back in it"):
        open_shots(tmp_path / "in" / "front", rig_file=rig_file)


@pytest.fixture
def tiled_file(rig, tmp_path) -> Path:
    """Both circles in one picture."""
    front, back = rig.lenses
    both = replace(
        rig,
        lenses=(
            replace(front, topic="/both", tile=(0, 0, 1, 0.5)),
            replace(back, topic="/both", tile=(0, 0.5, 1, 0.5)),
        ),
    )
    path = tmp_path / "tiled.yaml"
    path.write_text(rig_yaml(both))
    return path


def test_predict_takes_a_rig_and_says_nothing_where_no_lens_looks(
    rig_file, tiled_file, pictures, tmp_path
) -> None:
    model = write_fake_model(tmp_path / "m.onnx", size=SIZE)
    save(tmp_path / "dual" / "one.png", np.hstack(list(pictures.values())))
    options = ["--model", str(model), "--no-panels", "--cloud", "none", "--output-size", "64x128"]
    for place, file, name, seen in (
        (tmp_path / "dual", tiled_file, "one", 1.0),
        (rig_bag(tmp_path / "bag", {"/front": pictures["/front"]}), rig_file, str(1000 * MS), 0.55),
    ):
        out = tmp_path / f"out_{name}"
        assert main(["predict", str(place), "--rig", str(file), "--out", str(out), *options]) == 0
        depth = cv2.imread(str(out / f"depth_{name}.png"), cv2.IMREAD_UNCHANGED)
        labels = cv2.imread(str(out / f"labels_{name}.png"), cv2.IMREAD_UNCHANGED)
        assert (depth > 0).mean() == pytest.approx(seen, abs=0.1)
        assert ((labels == 255) == (depth == 0)).all()


def test_label_takes_a_rig_and_leaves_unseen_what_no_lens_sees(
    rig_file, pictures, tmp_path
) -> None:
    bag = rig_bag(tmp_path / "bag", pictures, lacking=(1,), count=2)
    whole, half = RigShots(bag, rig_file).panoramas()
    assert isinstance(whole, Panorama)
    assert isinstance(half, Panorama)
    assert whole.seen.all()
    assert (half.image[~half.seen] == FILLING).all()
    assert whole.name == f"bag/{1003 * MS}"


def test_the_player_takes_a_rig(rig_file, pictures, tmp_path) -> None:
    bag = rig_bag(tmp_path / "bag", pictures)
    frames = list(open_source(bag, rig_file=rig_file).frames())
    assert len(frames) == 4
    assert differs(cv2.resize(frames[0], SIZE[::-1], interpolation=cv2.INTER_AREA)) < 3


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"topic": "/front"}, "leave --topic out"),
        ({"every": 0}, "expected 1 to"),
        ({"every": 10**20}, "expected 1 to"),
    ],
)
def test_settings_that_do_not_fit_are_refused(arguments, word, rig_file, pictures, tmp_path):
    bag = rig_bag(tmp_path / "bag", pictures)
    with pytest.raises(MtpanoError, match=word):
        open_shots(bag, rig_file=rig_file, **arguments)


def test_labels_of_an_unseen_part_are_empty() -> None:
    """The oracle knows everything; what a picture does not show is forgotten all the same."""
    torch = pytest.importorskip("torch")
    from box_room import sample

    from mtpano_model.labels.config import LabelConfig
    from mtpano_model.labels.engine import LabelEngine
    from mtpano_model.labels.teachers.oracle import Oracle

    truth = sample(64)
    seen = np.ones((64, 128), bool)
    seen[:, 80:] = False
    image = np.array(COLORS, np.uint8)[np.zeros((64, 128), int)]
    panorama = Panorama("box", image, truth, seen)
    engine = LabelEngine([Oracle("indoor18")], LabelConfig(height=64, patches=24, patch_size=64))
    with torch.inference_mode():
        labels = engine.label(panorama)
    assert (labels.classes[:, 80:] == 255).all()
    assert not labels.depth[:, 80:].any()
    assert not labels.normals[:, 80:].any()
    assert (labels.depth[:, :78] > 0).mean() > 0.7
