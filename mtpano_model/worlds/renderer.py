"""Runs Blender in a process of its own, which renders truth and pictures of saved scenes."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.worlds.camera import View

_SCRIPT = Path(__file__).with_name("blender_side.py")
_LOADING_S = 120  # a few seconds where nothing else runs


class RenderError(Exception):
    """Blender failed at one scene or view, or its process ended."""


def check_blender(python: Path) -> str:
    """Version of an interpreter's bpy; MtpanoError if it cannot load bpy."""
    if not python.is_file():
        raise MtpanoError(
            f"{python} does not exist: worlds are rendered by Blender in an environment of its "
            "own, `./run worlds` makes it, or name a Python 3.11 that has bpy in --blender"
        )
    code = "import bpy, OpenEXR; print(bpy.app.version_string)"
    version, reason = "", "it gave no reason"
    try:
        done = subprocess.run(
            [python, "-c", code],
            capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
            timeout=_LOADING_S, check=False,
        )  # fmt: skip
        reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        said = done.stdout.split()
        if done.returncode == 0 and said and re.match(r"\d+\.\d+", said[-1]):
            version = said[-1]
    except subprocess.TimeoutExpired:
        reason = f"it had not answered after {_LOADING_S} s"
    except OSError as error:
        reason = error.strerror or str(error)
    if not version:
        raise MtpanoError(
            f"{python} cannot load Blender ({reason}): it must be Python 3.11 with bpy 5.0.1, "
            "numpy below 2 and OpenEXR; `./run worlds` makes such an environment"
        )
    return version


class Renderer:
    """One Blender process; its output goes to the file `log`."""

    def __init__(
        self,
        python: Path,
        workspace: Path,
        size: tuple[int, int],
        textures: Path,
        skies: dict[str, str],
        threads: int = 1,
    ):
        self.workspace, self._size, self._threads = workspace, size, threads
        self._textures, self._skies = textures, skies
        workspace.mkdir(parents=True, exist_ok=True)
        self.log = workspace / "blender.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [python, _SCRIPT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def open(self, folder: Path) -> None:
        """Build the scene saved in a folder; RenderError if that fails."""
        self._ask(
            do="open",
            folder=str(folder),
            textures=str(self._textures),
            skies=self._skies,
            size=self._size,
            threads=self._threads,
        )

    def truth(self, view: View) -> dict[str, NDArray[Any]]:
        """depth [H, W] metres, normal [H, W, 3] in world axes, label [H, W] of a view."""
        return self._arrays(do="truth", view=view.as_json())

    def picture(self, view: View, samples: int, seed: int) -> NDArray[np.float32]:
        """RGB [H, W, 3] in linear light."""
        arrays = self._arrays(do="picture", view=view.as_json(), samples=samples, seed=seed)
        return arrays["rgb"]

    def close(self) -> None:
        """End the process."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _arrays(self, **request: Any) -> dict[str, NDArray[Any]]:
        file = self.workspace / "view.npz"
        self._ask(**request, file=str(file))
        with np.load(file) as stored:
            arrays = {name: stored[name] for name in stored.files}
        file.unlink()
        return arrays

    def _ask(self, **request: Any) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError as error:
            raise RenderError(f"Blender's process ended ({error}), see {self.log}") from error
        if not line:
            raise RenderError(f"Blender's process ended, see {self.log}")
        reply = json.loads(line)
        if "error" in reply:
            raise RenderError(reply["error"])
