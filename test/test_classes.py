"""Label sets: dense ids, one colour a class, every class with a place in the default set."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mtpano_model.classes import IGNORE, available_class_sets, load_class_set
from mtpano_model.errors import MtpanoError

SIZES = {
    "ade20k150": 150,
    "ade20k32": 32,
    "indoor18": 18,
    "nyu40": 40,
    "outdoor19": 19,
    "stanford13": 13,
}
# Id, from 0, and name as the authors give them, and the class of indoor18 that means the same: the
# orders of ADE20K's objectInfo150, of the ADE20K-32 teacher, of NYUv2's 40 classes and of S3DIS.
PUBLISHED = {
    "ade20k150": {
        2: ("sky", None),
        28: ("rug", "floor"),
        64: ("coffee table", "table"),
        65: ("toilet", "sanitary"),
        89: ("television receiver", "appliance"),
    },
    "ade20k32": {
        0: ("other", None),
        6: ("ceiling", "ceiling"),
        9: ("window", "window"),
        29: ("rug", "floor"),
        31: ("armchair", "chair"),
    },
    "indoor18": {
        0: ("wall", "wall"),
        1: ("floor", "floor"),
        2: ("ceiling", "ceiling"),
        12: ("lamp", "lamp"),
        17: ("other", "other"),
    },
    "nyu40": {
        9: ("bookshelf", "cabinet"),
        12: ("blinds", "curtain"),
        21: ("ceiling", "ceiling"),
        32: ("toilet", "sanitary"),
        34: ("lamp", "lamp"),
    },
    "outdoor19": {
        0: ("road", "floor"),
        2: ("building", "wall"),
        7: ("traffic sign", None),
        10: ("sky", None),
        11: ("person", "person"),
        18: ("bicycle", None),
    },
    "stanford13": {
        2: ("wall", "wall"),
        3: ("beam", "ceiling"),
        4: ("column", "wall"),
        10: ("bookcase", "cabinet"),
        11: ("board", "picture"),
    },
}


def test_the_shipped_sets_are_listed_with_their_sizes() -> None:
    assert {name: len(load_class_set(name)) for name in available_class_sets()} == SIZES


@pytest.mark.parametrize("name", SIZES)
def test_names_and_colours_are_unique(name: str) -> None:
    classes = load_class_set(name)
    assert len(set(classes.names)) == len(set(classes.palette)) == len(classes)
    assert classes.palette_array.shape == (len(classes), 3)
    assert (0, 0, 0) not in classes.palette  # black marks unlabelled pixels in pictures


@pytest.mark.parametrize("name", SIZES)
def test_published_ids_become_classes_of_the_default_set_or_nothing(name: str) -> None:
    classes = load_class_set(name)
    table = classes.lookup_to_default()
    becomes = {IGNORE: None} | dict(enumerate(load_class_set("indoor18").names))
    assert {i: (classes.names[i], becomes[table[i]]) for i in PUBLISHED[name]} == PUBLISHED[name]
    assert table.shape == (256,)
    assert (table[len(classes) :] == IGNORE).all()


def test_the_default_set_maps_onto_itself() -> None:
    np.testing.assert_array_equal(
        load_class_set("indoor18").lookup_to_default()[:18], np.arange(18)
    )


def test_ade20k_order_agrees_with_published_landmarks() -> None:
    """0-based ids that the public ADE20K-150 models share (SceneParse150 order)."""
    names = load_class_set("ade20k150").names
    landmarks = {0: "wall", 2: "sky", 3: "floor", 5: "ceiling", 8: "windowpane", 12: "person"}
    landmarks |= {14: "door", 19: "chair", 36: "lamp", 65: "toilet", 89: "television receiver"}
    landmarks |= {100: "poster", 119: "ball", 126: "animal", 149: "flag"}
    assert {i: names[i] for i in landmarks} == landmarks


def test_ade20k32_is_other_followed_by_the_first_31_of_ade20k150() -> None:
    small, large = load_class_set("ade20k32"), load_class_set("ade20k150")
    renamed = tuple("windowpane" if name == "window" else name for name in small.names)
    assert renamed == ("other", *large.names[:31])
    assert small.indoor18[1:] == large.indoor18[:31]


def test_ade20k32_order_is_the_teachers(shared: Path) -> None:
    text = (shared / "teachers" / "README.md").read_text()
    stated = re.search(r"Classes 0-31: (.*?)\.", text, re.DOTALL)
    assert stated is not None
    assert load_class_set("ade20k32").names == tuple(stated[1].split())


def test_only_the_sky_is_open() -> None:
    for name in SIZES:
        classes = load_class_set(name)
        opens = [n for n, is_open in zip(classes.names, classes.open, strict=True) if is_open]
        assert opens == (["sky"] if "sky" in classes.names else [])


def test_an_unknown_set_names_the_known_ones() -> None:
    with pytest.raises(MtpanoError, match=r"unknown class set 'coco'.*indoor18"):
        load_class_set("coco")
