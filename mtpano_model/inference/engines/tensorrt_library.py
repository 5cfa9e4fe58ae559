"""Find CUDA, a GPU and TensorRT, or say in one sentence which is missing and what to do.

`import tensorrt` and `tensorrt.Logger()` work without a driver and prove nothing; the probe is
cudaGetDeviceCount through cuda-bindings, which imports everywhere.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mtpano_model.errors import MtpanoError

log = logging.getLogger(__name__)

OLDEST = (10, 3)
# From here on every operator of ours may be strongly typed; 11 knows nothing else.
STRONGLY_TYPED_SINCE = (10, 12)
_NO_DRIVER, _NO_DEVICE = 35, 100  # cudaErrorInsufficientDriver, cudaErrorNoDevice
_CONTAINER_HINT = "in a container start it with --gpus all (Jetson: --runtime nvidia)"


@dataclass(frozen=True)
class Gpu:
    """The first visible GPU. memory: bytes. driver, runtime: CUDA versions such as "12.6"."""

    name: str
    compute_capability: str
    memory: int
    driver: str
    runtime: str


def load_cuda() -> Any:
    """The module cuda.bindings.runtime."""
    try:
        return importlib.import_module("cuda.bindings.runtime")
    except (ImportError, OSError) as error:
        raise MtpanoError(
            f"cuda-bindings cannot be imported ({error}), TensorRT's memory is handled through it: "
            'pip install cuda-bindings (JetPack 6: pip install "cuda-bindings<13")'
        ) from error


def find_gpu(cuda: Any) -> Gpu:
    """The first visible GPU (CUDA_VISIBLE_DEVICES picks another)."""
    status, count = cuda.cudaGetDeviceCount()
    driver = _version_text(_value(cuda.cudaDriverGetVersion()))
    runtime = _version_text(_value(cuda.cudaRuntimeGetVersion()))
    if int(status) == _NO_DRIVER and driver != "0.0":
        raise MtpanoError(
            f"the NVIDIA driver supports CUDA {driver}, cuda-bindings needs {runtime}: "
            f'pip install "cuda-bindings=={driver.split(".")[0]}.*" or update the driver'
        )
    if int(status) == _NO_DRIVER:
        raise MtpanoError(
            f"no NVIDIA driver answers: install one and check nvidia-smi, {_CONTAINER_HINT}"
        )
    if int(status) == _NO_DEVICE or (int(status) == 0 and count == 0):
        raise MtpanoError(
            "the NVIDIA driver shows no GPU: check nvidia-smi and CUDA_VISIBLE_DEVICES, "
            f"{_CONTAINER_HINT}"
        )
    if int(status) != 0:
        raise MtpanoError(
            f"CUDA does not start (error {int(status)}, {status.name}): check nvidia-smi, restart "
            "the machine after a driver update"
        )
    properties = _value(cuda.cudaGetDeviceProperties(0))
    return Gpu(
        name=properties.name.decode().rstrip("\0"),
        compute_capability=f"{properties.major}.{properties.minor}",
        memory=int(properties.totalGlobalMem),
        driver=driver,
        runtime=runtime,
    )


def load_tensorrt() -> Any:
    """The module tensorrt, 10.3 or newer."""
    try:
        tensorrt = importlib.import_module("tensorrt")
    except (ImportError, OSError) as error:
        raise MtpanoError(
            f"TensorRT cannot be imported ({error}): pip install tensorrt; on a Jetson install "
            "python3-libnvinfer and make the virtual environment with --system-site-packages"
        ) from error
    if version(tensorrt) < OLDEST:
        raise MtpanoError(
            f"TensorRT {tensorrt.__version__} is too old, 10.3 or newer is needed: update it "
            "(Jetson: JetPack 6.1 or newer)"
        )
    return tensorrt


def version(tensorrt: Any) -> tuple[int, int]:
    """(major, minor)."""
    major, minor = tensorrt.__version__.split(".")[:2]
    return int(major), int(minor)


def is_strongly_typed(tensorrt: Any) -> bool:
    """Whether engines are built from the graph's own types (10.12 and later)."""
    return version(tensorrt) >= STRONGLY_TYPED_SINCE


def start(kind: Callable[[Any], Any], tensorrt: Any, logger: Any) -> Any:
    """`kind(logger)` for Builder and Runtime, which answer a broken driver with TypeError."""
    try:
        return kind(logger)
    except TypeError as error:
        raise MtpanoError(
            f"TensorRT {tensorrt.__version__} does not start on this machine "
            f"({logger.last_error or error}): check with nvidia-smi that the driver is as new as "
            "TensorRT's CUDA"
        ) from error


def make_logger(tensorrt: Any) -> Any:
    """TensorRT's messages go to Python's logging, one level milder; `last_error` keeps the last.

    What an error means for the user is said by whoever called TensorRT.
    """
    severity = tensorrt.ILogger.Severity
    levels = {
        severity.INTERNAL_ERROR: logging.WARNING,
        severity.ERROR: logging.WARNING,
        severity.WARNING: logging.INFO,
        severity.INFO: logging.DEBUG,
    }

    class Logger(tensorrt.ILogger):
        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)
            self.last_error = ""

        def log(self, severity: Any, message: str) -> None:
            level = levels.get(severity)
            if level == logging.WARNING:
                self.last_error = message
            if level is not None:
                log.log(level, "TensorRT: %s", message)

    return Logger()


def _value(result: tuple[Any, Any]) -> Any:
    status, value = result
    return value if int(status) == 0 else 0


def _version_text(number: int) -> str:
    """12060 -> "12.6"."""
    return f"{number // 1000}.{number % 1000 // 10}"
