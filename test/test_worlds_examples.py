"""The worlds in examples/worlds: small enough to travel, of every kind, true, and trainable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mtpano_model.classes import load_class_set
from mtpano_model.data.sources import open_frames
from mtpano_model.worlds.kinds import KINDS
from mtpano_model.worlds.verify import verify

EXAMPLES = Path(__file__).parents[1] / "examples" / "worlds"


@pytest.fixture(scope="module")
def entries() -> list[dict]:
    lines = (EXAMPLES / "index.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_there_are_200_views_of_all_kinds_in_30_megabytes(entries):
    assert len(entries) >= 200
    assert {entry["kind"] for entry in entries} == set(KINDS)
    assert {entry["split"] for entry in entries} == {"train"}  # nothing that is held out
    assert sum(path.stat().st_size for path in EXAMPLES.rglob("*")) < 30e6


def test_their_truth_is_exact():
    report, right = verify(EXAMPLES, limit=10)
    assert right, report


def test_a_tenth_of_the_worlds_is_held_out_for_validation(entries):
    size = (32, 64)
    train = open_frames("rooms", EXAMPLES, "train", size)
    val = open_frames("rooms", EXAMPLES, "val", size)
    assert len(train) + len(val) == len(entries)
    assert 0.04 < len(val) / len(entries) < 0.2
    worlds = [{name.rsplit("-", 1)[0] for name in part.names} for part in (train, val)]
    assert not worlds[0] & worlds[1]


def test_people_sky_and_depth_beyond_20_m_are_in_them():
    names = load_class_set("indoor18").names
    frames = open_frames("rooms", EXAMPLES, "train", (32, 64))
    seen, far, infinite = np.zeros(256, int), 0, 0
    for index in range(len(frames)):
        sample = frames[index]
        seen += np.bincount(sample.semseg.flatten().numpy(), minlength=256)
        measured = sample.depth[sample.depth_valid]
        far += int((measured > 20).any())
        infinite += int((~sample.depth_valid).any())
    assert seen[names.index("person")] > 0.001 * seen.sum()
    assert (seen[: len(names)] > 0).all()
    assert far > 10
    assert infinite > 10


def test_whoever_made_what_stands_in_them_is_named(entries):
    models = (EXAMPLES / "CREDITS.md").read_text(encoding="utf-8").split("## Skies")[0]
    rows = [line for line in models.splitlines() if line.startswith("| ")]
    named = [row for row in rows if not row.startswith("| no |")]
    assert len(named) == len({model for entry in entries for model in entry["models"]})
    assert all(row.count("|") == 5 and row.split("|")[3].strip() for row in named)  # the creator
