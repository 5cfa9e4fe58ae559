"""What a store's pseudo labels give to training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from store_program import META

from mtpano_model.data import pseudo_encoding as encoding
from mtpano_model.data.pseudo_labelled import PseudoLabelled
from mtpano_model.data.store_writer import StoreWriter
from mtpano_model.errors import MtpanoError

# --- what is in it -------------------------------------------------------------------------------


def some_labels(height: int = 16, patches: int = 3, patch: int = 12) -> encoding.PseudoLabels:
    rng = np.random.default_rng(3)
    shape = (height, 2 * height)
    normals = rng.normal(size=(*shape, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[:2] = 0
    depth = rng.uniform(0.3, 60, shape).astype(np.float32)
    depth[-1] = 0
    depth[0, 0] = 70
    return encoding.PseudoLabels(
        image=np.full((*shape, 3), 90, np.uint8),
        classes=rng.integers(0, 18, shape, dtype=np.uint8),
        confidence=rng.random(shape, np.float32),
        normals=normals,
        depth=depth,
        patches=rng.uniform(1, 5, (patches, patch, patch)).astype(np.float32),
        views=np.array([[0, 0, 90], [120, 0, 90], [-120, 0, 90]], float)[:patches],
        facts={"note": 1},
    )


def test_losses_of_the_encoding_are_those_it_states():
    labels = some_labels()
    back = encoding.decode(encoding.encode(labels), (16, 32))
    np.testing.assert_array_equal(back.classes, labels.classes)
    assert np.abs(back.confidence - labels.confidence).max() <= 1 / 30 + 1e-6
    kept = (labels.depth > 0) & (labels.depth < 65.5)
    assert np.abs(back.depth - labels.depth)[kept].max() < 0.00051
    assert (back.depth[~kept] == 0).all()
    cosine = (back.normals * labels.normals).sum(-1)[2:]
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() < 0.45
    assert (back.normals[:2] == 0).all()
    assert np.abs(back.patches - labels.patches).max() < 0.00051
    assert back.facts == {"note": 1}


def test_noise_makes_patches_smaller_but_never_a_panorama_larger():
    labels = some_labels(height=64, patches=3, patch=192)
    members = encoding.encode(labels, max_bytes=130_000)
    assert sum(map(len, members.values())) <= 130_000
    back = encoding.decode(members, (64, 128))
    assert back.patches.shape[1] in encoding.PATCH_SIZES[1:]


@pytest.fixture
def labelled(tmp_path) -> Path:
    labels = some_labels()
    labels.classes[:, :16], labels.classes[:, 16:] = 3, 4
    labels.patches[:] = np.array([1.0, 2.0, 3.0])[:, None, None]
    with StoreWriter(tmp_path, {**META, "size": [16, 32]}) as writer:
        writer.add("full", encoding.encode(labels))
        labels.classes[:], labels.normals[:], labels.patches[:] = 255, 0, 0
        writer.add("depth only", encoding.encode(labels))
    return tmp_path


def test_samples_carry_what_the_store_has(labelled):
    dataset = PseudoLabelled(labelled)
    full, depth_only = dataset[0], dataset[1]
    assert (full.semseg[:, :16] == 3).all()
    assert (full.semseg[:, 16:] == 4).all()
    assert full.normals_valid[0, 2:].all()
    assert not full.normals_valid[0, :2].any()
    assert full.depth_valid.sum() == 15 * 32 - 1
    assert (depth_only.semseg == 255).all()
    assert not depth_only.normals_valid.any()
    assert depth_only.confidence.max() == 0
    torch.testing.assert_close(depth_only.depth, full.depth)


def test_a_drawn_sample_has_the_depth_of_one_patch_where_that_patch_looked(labelled):
    dataset = PseudoLabelled(labelled, size=(32, 64))
    seen = set()
    for seed in range(20):
        sample = dataset.draw(0, np.random.default_rng(seed))
        value = set(sample.depth[sample.depth_valid].tolist())
        assert len(value) == 1
        seen |= value
        # Patches look ahead, right and left; each is 90 degrees wide, a quarter of the equator.
        centre = {1.0: 32, 2.0: 32 + 64 // 3, 3.0: 32 - 64 // 3}[next(iter(value))]
        row = sample.depth_valid[0, 16]
        assert row.sum() == pytest.approx(16, abs=1)
        assert abs(row.nonzero().float().mean().item() + 0.5 - centre) < 1
    assert seen == {1.0, 2.0, 3.0}
    again = [dataset.draw(0, np.random.default_rng(5)).depth for _ in range(2)]
    torch.testing.assert_close(*again)
    # Without patches there is only the merged map.
    torch.testing.assert_close(dataset.draw(1, np.random.default_rng(0)).depth, dataset[1].depth)


def test_names_and_classes_are_checked(labelled):
    assert PseudoLabelled(labelled, names=["depth only"]).names == ["depth only"]
    with pytest.raises(MtpanoError, match="no panorama 'other'"):
        PseudoLabelled(labelled, names=["other"])
    with pytest.raises(MtpanoError, match="cannot be turned into 'nyu40'"):
        PseudoLabelled(labelled, class_set="nyu40")


def test_a_damaged_picture_names_its_panorama(labelled):
    shard = next(labelled.glob("*.tar"))
    data = bytearray(shard.read_bytes())
    data[512:1500] = bytes(988)
    shard.write_bytes(data)
    with pytest.raises(MtpanoError, match=r"'full'.*is damaged"):
        PseudoLabelled(labelled)[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"jpg": b""}, "it is empty"),
        ({"jpg": None}, "it has no 'jpg'"),
        ({"confidence": None}, "it has no 'confidence'"),
        ({"json": b"[]"}, "list indices"),
        ({"json": b'{"views": []}'}, "out of bounds"),
    ],
)
def test_a_panorama_that_lacks_something_is_named(tmp_path, change, words):
    whole = {**encoding.encode(some_labels()), **change}
    with StoreWriter(tmp_path, {**META, "size": [16, 32]}) as writer:
        writer.add("odd", {kind: data for kind, data in whole.items() if data is not None})
    with pytest.raises(MtpanoError, match=rf"'odd'.*is damaged \(.*{words}.*copy the store again"):
        PseudoLabelled(tmp_path).draw(0, np.random.default_rng(0))
