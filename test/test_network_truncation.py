"""The gradient-truncated bridge: which parameters a loss on one task reaches."""

from __future__ import annotations

import pytest
import torch
from networks import seeded, tiny

from mtpano_model.network import PDBridgeNet
from mtpano_model.tasks import TASKS


def _reached(net: PDBridgeNet, loss: torch.Tensor) -> set[str]:
    net.zero_grad(set_to_none=True)
    loss.backward()
    return {n for n, p in net.named_parameters() if p.grad is not None and p.grad.any()}


def _allowed(net: PDBridgeNet, name: str, final: bool) -> set[str]:
    """What the stream table allows for a loss on a task's final (or first) prediction."""
    stream = TASKS[name].stream
    own = [t.name for t in net.config.all_tasks if t.stream == stream]
    prefixes = ["backbone.", "token_grid.", f"aggregators.{stream}."]
    prefixes += [f"refiners.{i}.{stream}." for i in range(4)]
    if not final:
        prefixes.append(f"heads.{name}.")
    else:
        prefixes += [f"heads.{t}.feature." for t in own]
        squeezed = [t.name for t in net.config.all_tasks]
        if not net.config.detach_before_squeeze:
            squeezed = own  # cut behind the squeeze: foreign projections never learn
        bridge = f"bridges.{stream}."
        prefixes += [f"{bridge}squeeze.{t}." for t in squeezed]
        prefixes += [bridge + part for part in ("norm", "attention.", "mlp")]
        prefixes += [f"bridge_injectors.{stream}.", f"task_injectors.{name}."]
        prefixes += [f"decoders.{name}.", "laterals."]
        prefixes += ["upsampling."] * (name in ("depth", "normals"))  # what they share is cut off
    names = {n for n, _ in net.named_parameters() if n.startswith(tuple(prefixes))}
    # the release owns a residual unit in the coarsest fusion layer that nothing feeds
    return {n for n in names if ".fuse.0.lateral." not in n or net.config.decoder.kind != "dpt"}


@pytest.fixture(scope="module", params=[True, False], ids=["detach-before", "detach-after"])
def net(request):
    return seeded(tiny("small", detach_before_squeeze=request.param))


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if not task.optional])
def test_a_loss_reaches_exactly_its_own_stream(net, name):
    image = torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(1)) * 255
    out = net(image)
    initial = {**out.initial, **out.auxiliary}[name]
    assert _reached(net, initial.square().mean()) == _allowed(net, name, final=False)
    if TASKS[name].main:
        out = net(image)
        assert _reached(net, out.final[name].square().mean()) == _allowed(net, name, final=True)


def test_without_truncation_the_other_stream_learns_too():
    net = seeded(tiny("small", truncate=False))
    out = net(torch.rand(1, 3, 64, 128) * 255)
    reached = _reached(net, out.final["normals"].square().mean())
    assert "heads.semseg.feature.0.weight" in reached
    assert "aggregators.invariant.fuse.0.weight" in reached


def test_truncation_changes_no_number_forward():
    image = torch.rand(1, 3, 64, 128) * 255
    outputs = []
    for truncate in (True, False):
        with torch.inference_mode():
            outputs.append(seeded(tiny("small", truncate=truncate))(image).final)
    for name in outputs[0]:
        torch.testing.assert_close(outputs[0][name], outputs[1][name], rtol=0, atol=0)
