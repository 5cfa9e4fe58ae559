"""The released layout: names, numbers, and how its checkpoints come in."""

from __future__ import annotations

import json
import pickle
import shutil

import pytest
import torch
from networks import seeded, tiny
from safetensors.torch import load_file

from mtpano_model.commands import main
from mtpano_model.errors import MtpanoError
from mtpano_model.network import PDBridgeNet, preset
from mtpano_model.network.foreign.released import our_name, read_released_checkpoint
from mtpano_model.network.parity import TOLERANCE, compare, load_fixture
from mtpano_model.network.pretrained import from_pretrained, own_name, read_facts


def test_every_released_tensor_has_its_place_and_shape(reference):
    lines = (reference / "released_checkpoint_tensors.tsv").read_text().splitlines()[1:]
    table = dict(line.split("\t") if "\t" in line else (line, "") for line in lines)
    with torch.device("meta"):
        net = PDBridgeNet(preset("released"))
    ours = {name: "x".join(map(str, t.shape)) for name, t in net.state_dict().items()}
    theirs = {own_name(net, our_name(name)): shape for name, shape in table.items()}
    assert len(table) == 1201
    assert theirs == ours
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(589.5e6, rel=1e-4)


def test_reference_outputs_are_reproduced(reference):
    differences = compare(reference / "reference_a")
    assert len(differences) == 9
    assert max(differences.values()) < TOLERANCE


def test_parity_notices_a_changed_weight(reference, tmp_path):
    """The comparison must be able to fail: one epsilon of the bridge's norms is enough."""
    net, stored = load_fixture(reference / "reference_a")
    for bridge in net.bridges.values():
        for norm in (bridge.norm_query, bridge.norm_key_value, bridge.norm_mlp):
            norm.eps = 1e-3
    with torch.inference_mode():
        out = net.predict(stored["input"])
    assert (out.final["normals"][:1] - stored["final.normals"]).abs().max() > TOLERANCE


def test_a_normals_loss_reaches_what_it_reaches_in_the_release(reference):
    folder = reference / "reference_a"
    expected = json.loads((folder / "normals_loss_gradients.json").read_text())["grad_norm"]
    net, stored = load_fixture(folder)
    net.predict(stored["input"]).final["normals"].square().mean().backward()
    parameters = dict(net.named_parameters())
    for released, norm in expected.items():
        gradient = parameters[own_name(net, our_name(released))].grad
        if norm is None:
            assert gradient is None or not gradient.any(), released
        else:
            assert gradient.norm().item() == pytest.approx(norm, rel=1e-3), released


def _checkpoint(tmp_path, reference, prefix=""):
    """The reference's weights as the authors would have pickled them."""
    weights = load_file(reference / "reference_a" / "weights.safetensors")
    path = tmp_path / "mtpano_model.pth.tar"
    torch.save({"model": {prefix + name: tensor for name, tensor in weights.items()}}, path)
    return path


def _convert(checkpoint, out, reference):
    fixture = reference / "reference_a" / "config.json"
    arguments = [str(checkpoint), "--out", str(out), "--fixture", str(fixture)]
    return main(["convert-released", *arguments])


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_converted_checkpoint_gives_the_reference_outputs(reference, tmp_path, prefix):
    out = tmp_path / "model.safetensors"
    assert _convert(_checkpoint(tmp_path, reference, prefix), out, reference) == 0
    assert read_facts(out)["extra"]["license"] == "not stated by the MTPano authors"
    stored = load_file(reference / "reference_a" / "io.safetensors")
    with torch.inference_mode():
        final = from_pretrained(out).predict(stored["input"].float()).final
    for name, map_ in final.items():
        assert (map_[:1] - stored[f"final.{name}"]).abs().max() < TOLERANCE


def test_what_does_not_fit_is_named_and_nothing_written(reference, tmp_path, capsys):
    weights = load_file(reference / "reference_a" / "weights.safetensors")
    weights["heads.depth.head.4.bias"] = torch.zeros(7)
    del weights["bfe_variant.norm2.bias"]
    weights["surprise"] = torch.zeros(1)
    path = tmp_path / "model.pth.tar"
    torch.save({"model": weights}, path)
    assert _convert(path, tmp_path / "out.safetensors", reference) == 1
    message = capsys.readouterr().err
    for name in ("bridges.variant.norm_mlp.bias", "surprise", "heads.depth.head.4.bias (7"):
        assert name in message
    assert not (tmp_path / "out.safetensors").exists()


def test_what_cannot_be_read_or_written_is_one_sentence(reference, tmp_path, capsys):
    checkpoint = _checkpoint(tmp_path, reference)
    (tmp_path / "file").touch()
    assert _convert(checkpoint, tmp_path / "file" / "out.safetensors", reference) == 1
    assert "out.safetensors cannot be written" in capsys.readouterr().err
    arguments = [str(checkpoint), "--out", str(tmp_path / "out")]
    assert main(["convert-released", *arguments, "--fixture", str(tmp_path / "none.json")]) == 1
    assert "none.json cannot be read" in capsys.readouterr().err


class _Evil:
    def __reduce__(self):
        return (print, ("this pickle ran code",))


def test_a_tampered_pickle_is_refused_without_running(tmp_path, capsys):
    path = tmp_path / "model.pth.tar"
    torch.save({"model": _Evil()}, path)
    with pytest.raises(MtpanoError, match="not opened"):
        read_released_checkpoint(path)
    path.write_bytes(pickle.dumps({"model": _Evil()}))
    with pytest.raises(MtpanoError):
        read_released_checkpoint(path)
    assert "ran code" not in capsys.readouterr().out


def test_a_truncated_or_foreign_checkpoint_is_refused(reference, tmp_path):
    path = _checkpoint(tmp_path, reference)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MtpanoError, match="truncated"):
        read_released_checkpoint(path)
    torch.save({"weights": {}}, path)
    with pytest.raises(MtpanoError, match="'model'"):
        read_released_checkpoint(path)
    with pytest.raises(MtpanoError, match="does not exist"):
        read_released_checkpoint(tmp_path / "nowhere.pth.tar")


def test_a_checkpoint_of_another_architecture_is_refused(reference, tmp_path, capsys):
    path = tmp_path / "other.pth.tar"
    torch.save({"model": seeded(tiny("nano")).state_dict()}, path)
    assert _convert(path, tmp_path / "out.safetensors", reference) == 1
    assert "missing" in capsys.readouterr().err


def test_the_parity_command_passes_and_fails(reference, tmp_path, capsys):
    folder = reference / "reference_a"
    assert main(["parity", str(folder)]) == 0
    assert "final.normals" in capsys.readouterr().out
    for name in ("config.json", "weights.safetensors", "io.safetensors"):
        shutil.copyfile(folder / name, tmp_path / name)
    (tmp_path / "weights.safetensors").write_bytes(b"cut")
    assert main(["parity", str(tmp_path)]) == 1
    assert "weights.safetensors cannot be read" in capsys.readouterr().err
    shutil.copyfile(folder / "weights.safetensors", tmp_path / "weights.safetensors")
    facts = json.loads((tmp_path / "config.json").read_text())
    facts["num_attention_heads"] = 2  # fits the weights, not the numbers
    (tmp_path / "config.json").write_text(json.dumps(facts))
    assert main(["parity", str(tmp_path)]) == 1
