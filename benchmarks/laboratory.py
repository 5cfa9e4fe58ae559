"""Everything a benchmark needs to be up: nodes under test, references, a log, an engine.

The nodes are up side by side, but only one of them gets images at a time; what else the machine
does then hits all alike. Each talks in a ROS domain of its own: ours over the shipped transport
profile, the naive one over the default.
"""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.content import SAMPLE
from benchmarks.scenario import Load, Outcome, System, Watch
from benchmarks.stub_node import StubEngine
from mtpano_model.errors import MtpanoError
from mtpano_model.graph.model_info import find_model
from mtpano_model.inference import Frame, ValueRules, load_estimator
from mtpano_model.pictures.output_size import resolve_output_size
from mtpano_model.pictures.resize import resize_image
from mtpano_ros.process.transport import CHOICES, PRIVATE_DOMAINS, large_messages, private_graph
from mtpano_ros.tools.sources import PANORAMAS, open_source

log = logging.getLogger(__name__)
ATTEMPTS = 8
# Over the default transport: a lost fragment is asked for again with the next heartbeat, 3 s later.
PATIENCE_SECONDS = 3.5


class Laboratory:
    """Use as a context manager: leaving it ends every process."""

    def __init__(self, model: str, log: Path) -> None:
        self.model = find_model(model)
        self.estimator = load_estimator(self.model, compiled=None)
        self._panoramas = list(open_source(PANORAMAS).frames())
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._log = self._stack.enter_context(log.open("wb"))
        self._systems: dict[str, System] = {}
        self._received: dict[str, int] = {}
        self._domains = 0

    def __enter__(self) -> Laboratory:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._systems):
            self.stop(self._systems[name])
        self.estimator.close()
        self._stack.close()

    # --- nodes ----------------------------------------------------------------------------------

    def start_ours(self, name: str, shipped_transport: bool = True) -> System:
        """Our node at float32."""
        system = self.prepare(name, shipped_transport)
        self.launch_ours(system)
        return system

    def launch_ours(self, system: System) -> None:
        """Start our node in a system that is prepared."""
        system.start(
            "mtpano_ros.node", *system.ros_args,
            "-p", f"model:={self.model}", "-p", "precision:=fp32",
        )  # fmt: skip

    def start_stub(self, name: str) -> System:
        """Our node without an engine, and without what corrects depth."""
        system = self.prepare(name)
        system.depth_finish = "off"
        parameters = ("-p", f"model:={self.model}", "-p", "depth_finish:='off'")
        system.start("benchmarks.stub_node", *system.ros_args, *parameters)
        return system

    def start_naive(self, name: str, checkpoint: str) -> System:
        """The naive node with the same weights at the same network size."""
        height, width = self.estimator.info.input_size
        system = self.prepare(name, shipped_transport=False)
        system.depth_finish = "off"
        system.start("benchmarks.naive_node", checkpoint, f"{height}x{width}", *system.ros_args)
        return system

    def stop(self, system: System) -> None:
        """End a node."""
        system.stop()
        del self._systems[system.name]

    def free_domain(self) -> int:
        """A ROS domain that none of the others is in."""
        self._domains += 1
        return PRIVATE_DOMAINS[(os.getpid() + self._domains) % len(PRIVATE_DOMAINS)]

    def prepare(self, name: str, shipped_transport: bool = True) -> System:
        """A namespace and an environment for a node that is not started yet."""
        environment = {k: v for k, v in os.environ.items() if k not in CHOICES} | private_graph()
        environment["ROS_DOMAIN_ID"] = str(self.free_domain())
        if shipped_transport:
            environment |= large_messages(environment)
        folder = self._folder / name
        folder.mkdir()
        system = System(name, environment, folder, self._log)
        if not shipped_transport:
            system.patience = PATIENCE_SECONDS
        self._systems[name] = system
        return system

    # --- runs -----------------------------------------------------------------------------------

    def run(self, system: System, load: Load, watch: Watch = lambda _: None) -> Outcome:
        """One stream of panoramas through one node."""
        references = self.references(load.size, system)
        outcome = system.run(load, references, watch)
        frames = outcome.diagnostics.get("frames", {})
        self._received[system.name] = int(frames.get("received", 0))
        height, width = load.size
        log.info(
            f"  {system.name:8} {height}x{width} {load.rate:6.2f} Hz in: {outcome.sent:4} sent, "
            f"{outcome.complete:4} complete, {outcome.per_second:6.2f} Hz out, "
            f"{outcome.latency_ms:8.1f} ms, {outcome.cpu_ms:7.1f} ms CPU"
        )
        return outcome

    def frames_received(self, system: System) -> int:
        """Images that the node had received at the end of its last run."""
        return self._received.get(system.name, 0)

    def sustainable(self, system: System, size: tuple[int, int], rate: float) -> float:
        """Images a second that come out when more go in; `rate` is a first guess at "more"."""
        for _ in range(ATTEMPTS):
            outcome = self.run(system, Load(size, rate, 2.0))
            if outcome.complete < 2:
                continue
            if outcome.per_second < 0.85 * rate:
                return outcome.per_second
            rate *= 2
        raise MtpanoError(f"{system.name} gives no steady stream of outputs: is the machine busy?")

    # --- what is right --------------------------------------------------------------------------

    def example(self, size: tuple[int, int]) -> tuple[Frame, NDArray[np.uint8], NDArray[np.uint8]]:
        """A frame, its picture at the frame's size, and the network's input."""
        rgb = self.picture(size)
        batch = self.estimator.preprocess(rgb)
        frame = self.estimator.predict(rgb, self._output_size(size))
        return frame, resize_image(rgb, frame.size), batch

    def picture(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The first panorama as a camera of `size` sends it."""
        return self._at(self._panoramas[0], size)

    def references(self, size: tuple[int, int], system: System) -> Path:
        """File with samples of what the system must give for every panorama, by camera `size`."""
        network = "stub" if system.name == "stub" else "network"
        path = self._folder / f"references_{size[0]}_{network}_{system.depth_finish}.npz"
        if not path.exists():
            frames = [self._frame(panorama, size, system) for panorama in self._panoramas]
            np.savez(
                path,
                depth=np.stack([frame.depth[::SAMPLE, ::SAMPLE] for frame in frames]),
                labels=np.stack([frame.labels[::SAMPLE, ::SAMPLE] for frame in frames]),
            )
        return path

    def model_facts(self) -> dict[str, Any]:
        """What ran, for the report."""
        info = self.estimator.info
        return {
            "name": info.path.stem,
            "preset": info.preset,
            "input_size": "{}x{}".format(*info.input_size),
            "backend": info.backend,
            "precision": info.precision,
            "revision": info.revision,
        }

    def _frame(self, panorama: NDArray[np.uint8], size: tuple[int, int], system: System) -> Frame:
        rules, size_out = ValueRules(depth_finish=system.depth_finish), self._output_size(size)
        if system.name == "stub":
            outputs = StubEngine(self.model).infer(np.empty(0, np.uint8))
            return self.estimator.postprocess(outputs, size_out, rules)
        return self.estimator.predict(self._at(panorama, size), size_out, rules)

    def _output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return resolve_output_size("input", size, self.estimator.info.input_size)

    @staticmethod
    def _at(panorama: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        return panorama if panorama.shape[:2] == size else resize_image(panorama, size)
