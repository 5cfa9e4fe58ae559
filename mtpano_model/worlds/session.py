"""Renders many worlds with several Blender processes; a kill loses at most one view of each."""

from __future__ import annotations

import hashlib
import logging
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock

from mtpano_model.worlds.camera import View, find_view
from mtpano_model.worlds.drive import RATE_HZ, plan_drive
from mtpano_model.worlds.drive_bag import write_drive_bag
from mtpano_model.worlds.ingredients import Ingredients
from mtpano_model.worlds.output import Output
from mtpano_model.worlds.renderer import Renderer, RenderError
from mtpano_model.worlds.shoot import Settings, Shot, about, shoot
from mtpano_model.worlds.world import Stock, World, make_world, world_name

log = logging.getLogger(__name__)
_TRIES = 4  # poses looked at for each view
_WORLDS_A_PROCESS = 150  # then Blender starts anew: its memory grows with every model it has seen


class Session:
    """Renders worlds into an output folder. on_view is called after every stored view."""

    def __init__(
        self,
        settings: Settings,
        seed: int,
        ingredients: Ingredients,
        stock: Stock,
        output: Output,
        on_view: Callable[[], None] = lambda: None,
    ):
        self.settings, self.seed, self.output = settings, seed, output
        self._ingredients, self._stock = ingredients, stock
        self._models = stock.catalogue.models()
        self._on_view = on_view
        self._stop, self._planning = Event(), Lock()

    def run(self, worlds: Iterable[tuple[str, int]], processes: int) -> None:
        """Render (kind, number) worlds that are not finished, in order, shared among processes."""
        queue = iter([w for w in worlds if not self.output.is_finished(self._name(*w))])
        memory = _memory_folder()
        for left in memory.glob(f"{self._prefix()}*"):
            # By a run that was killed: no other one writes to our folder now.
            shutil.rmtree(left, ignore_errors=True)
        with ThreadPoolExecutor(processes) as pool:
            running = [pool.submit(self._work, queue) for _ in range(processes)]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
            finally:
                self._stop.set()
            for task in running:
                task.result()

    def _name(self, kind: str, number: int) -> str:
        return world_name(kind, self.seed, number)

    def _prefix(self) -> str:
        """Of temporary folders: this output's, which one process at a time writes to."""
        place = str(self.output.folder.resolve())
        return f"mtpano_worlds_{hashlib.sha1(place.encode()).hexdigest()[:10]}_"

    def _work(self, queue: Iterator[tuple[str, int]]) -> None:
        workspace = Path(tempfile.mkdtemp(prefix=self._prefix(), dir=_memory_folder()))
        renderer, rendered = self._renderer(workspace), 0
        try:
            while not self._stop.is_set():
                with self._planning:
                    item = next(queue, None)
                if item is None:
                    return
                try:
                    self._render_world(renderer, *item)
                except RenderError as error:
                    log.warning("%s is skipped: %s", self._name(*item), error)
                    self.output.finish(self._name(*item), {"failed": str(error)})
                    rendered = _WORLDS_A_PROCESS
                rendered += 1
                if rendered >= _WORLDS_A_PROCESS:
                    renderer.close()
                    renderer, rendered = self._renderer(workspace), 0
        finally:
            renderer.close()
            shutil.rmtree(workspace, ignore_errors=True)

    def _renderer(self, workspace: Path) -> Renderer:
        have = self._ingredients
        return Renderer(have.blender, workspace, self.settings.size, have.textures, have.skies)

    def _render_world(self, renderer: Renderer, kind: str, number: int) -> None:
        with self._planning:  # one plan at a time: the pool of textures is shared
            world = make_world(kind, self.seed, number, self._stock)
        folder = renderer.workspace / "scene"
        folder.mkdir(exist_ok=True)
        models = {key: self._models[key] for key in world.models}
        files = {k: {"path": str(m.path), "rotation": m.rotation} for k, m in models.items()}
        world.scene.save(folder, files)
        renderer.open(folder)
        if self.settings.drive_seconds:
            self._render_drive(renderer, world)
        else:
            self._render_views(renderer, world)
        if not self._stop.is_set():
            self.output.finish(world.name, about(world))

    def _render_views(self, renderer: Renderer, world: World) -> None:
        """Single views; those that are there already keep the others away from their places."""
        taken: list[View] = []
        for index in range(self.settings.views):
            name = f"{world.name}-{index}"
            if name in self.output.views:
                x, y, z = self.output.views[name]["camera_position_m"]
                taken.append(View((x, y, z), 0.0))
                continue
            rng = random.Random(f"{name}:{self.settings.split}:{self.settings.revision}")
            for _ in range(_TRIES):
                view = (
                    None if self._stop.is_set() else find_view(world.plan, world.scene, rng, taken)
                )
                shot = view and shoot(renderer, world, view, rng, self.settings)
                if view and shot:
                    taken.append(view)
                    self._store(name, shot)
                    break

    def _render_drive(self, renderer: Renderer, world: World) -> None:
        """The frames of a drive, all exposed alike, and then its bag."""
        seed = f"{world.name}:drive:{self.settings.split}:{self.settings.revision}"
        drive = plan_drive(
            world.plan, world.scene, random.Random(seed), self.settings.drive_seconds
        )
        if drive is None:
            log.warning("%s is skipped: it has too little free floor for a drive", world.name)
            return
        names = [f"{world.name}-{index:04d}" for index in range(len(drive.views))]
        for index, (name, view) in enumerate(zip(names, drive.views, strict=True)):
            if self._stop.is_set():
                return
            if name not in self.output.views:
                shot = shoot(renderer, world, view, random.Random(seed), self.settings, frame=index)
                assert shot is not None
                shot.entry["stamp_s"] = round(index / RATE_HZ, 3)
                shot.entry["base_xy_heading"] = [round(float(v), 6) for v in drive.base[index]]
                self._store(name, shot)
        entries = [self.output.views[name] for name in names]
        write_drive_bag(self.output.folder, entries, self.output.folder / f"{world.name}_bag")

    def _store(self, name: str, shot: Shot) -> None:
        self.output.add({"name": name, **shot.entry}, shot.pictures)
        self._on_view()


def _memory_folder() -> Path:
    """A folder in memory, where the system has one with room: views pass through it."""
    with suppress(OSError):
        if shutil.disk_usage("/dev/shm").free > 1 << 30:
            return Path("/dev/shm")
    return Path(tempfile.gettempdir())
