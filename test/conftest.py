"""What tests share: the reference material, a known room, and a ROS graph of this host alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from public_trees import Room

from mtpano_model.inference.engines import processor
from mtpano_ros.process.transport import PRIVATE_DOMAINS, large_messages, private_graph

# Before anything imports rclpy, and inherited by the processes that tests start.
os.environ.update(private_graph())
if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # each of `pytest -n 2` has a domain of its own
    number = os.getppid() + int(worker.removeprefix("gw"))
    os.environ["ROS_DOMAIN_ID"] = str(PRIVATE_DOMAINS[number % len(PRIVATE_DOMAINS)])
os.environ.update(large_messages())
# A shell without job control lets its background jobs ignore these, and all that they start too.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The material beside the checkout: data sets, panoramas, teachers."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"reference material is absent: {folder}")
    return folder


@pytest.fixture(params=[False, True], ids=["plain", "compiled"])
def compiled(request: pytest.FixtureRequest) -> bool:
    """Whether to use the loops that numba compiles; what is tested has to hold both ways."""
    if request.param:
        pytest.importorskip("numba", reason="numba is not installed: pip install numba")
    return bool(request.param)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The numbers of the authors' network, losses and metrics; see `test/reference/README.md`."""
    from reference_files import unpack  # of the training half, which Jazzy's tests do without

    return unpack(tmp_path_factory.mktemp("reference"))


@pytest.fixture(scope="session")
def room() -> Room:
    """What the trees of public data sets hold."""
    return Room()


@pytest.fixture(scope="session", autouse=True)
def plain_processor() -> Iterator[None]:
    """Expected numbers are exact: no engine takes bf16 by itself, whatever processor tests run on.

    Processes that a test starts see the real one.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processor, "CPU_INFO", Path("unknown"))
        yield
