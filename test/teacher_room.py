"""The room that teachers are asked about, and stand-ins for what their authors publish."""

from __future__ import annotations

import torch
from stand_ins import teachers as stand_ins
from stand_ins.teachers import compass

from mtpano_model.data.panorama import Panorama
from mtpano_model.labels.teachers import open_teacher

ROOM = Panorama("room", compass())


def opened_by_name(monkeypatch, tmp_path):
    """Opens a teacher by its name, with all authors' packages and, where their weights are files,
    those files in `tmp_path`."""
    stand_ins.install(monkeypatch, tmp_path / "code")
    with monkeypatch.context() as there:
        there.chdir(tmp_path / "code")
        dap = stand_ins.DAP().state_dict()
    torch.save({f"module.{k}": v for k, v in dap.items()}, tmp_path / "model.pth")
    da360 = stand_ins.DA360(64, 128, "vits").state_dict()
    torch.save({**da360, "height": 64, "width": 128, "net": "DA360"}, tmp_path / "da360.pth")
    (tmp_path / "config.yaml").write_text("")
    sources = {"dap": f":{tmp_path / 'model.pth'}", "da360": f":{tmp_path / 'da360.pth'}",
               "pager": f":{tmp_path}"}  # fmt: skip
    return lambda name: open_teacher(
        name + sources.get(name, ""), "indoor18", noncommercial=name in ("pager", "unik3d")
    )
