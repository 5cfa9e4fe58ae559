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

from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.inference.engines.tensorrt.jetson import is_jetson

log = logging.getLogger(__name__)

OLDEST = (10, 3)
# 11 knows strong typing alone; before, a weakly typed network can stand in where that fails.
WEAK_TYPING_UNTIL = (11, 0)
_NO_DRIVER, _NO_DEVICE = 35, 100  # cudaErrorInsufficientDriver, cudaErrorNoDevice
_CONTAINER_HINT = "in a container start it with --gpus all (Jetson: --runtime nvidia)"
_NO_ANSWER = f"no NVIDIA driver answers: install one and check nvidia-smi, {_CONTAINER_HINT}"
# TensorRT's warning of an engine that was tuned on another GPU.
_FOREIGN_ENGINE = "different models of devices"


@dataclass(frozen=True)
class Gpu:
    """The first visible GPU.

    multi_processors: as many as the power mode leaves on. memory: bytes. integrated: it shares the
    processor's memory, as a Jetson's does. driver, runtime: CUDA versions such as "12.6".
    """

    name: str
    compute_capability: str
    multi_processors: int
    memory: int
    integrated: bool
    driver: str
    runtime: str


# The newest bindings whose CUDA is no newer than JetPack 6's driver.
_JETPACK_6_BINDINGS = "cuda-python==12.6.2.post1"
JETPACK_6 = f'JetPack 6: pip install "{_JETPACK_6_BINDINGS}"'


def load_cuda() -> Any:
    """The module cuda.bindings.runtime."""
    try:
        return importlib.import_module("cuda.bindings.runtime")
    except Exception as error:  # broken installations raise anything
        raise MtpanoError(
            f"cuda-bindings cannot be imported ({one_line(error)}), TensorRT's memory is handled "
            "through it: "
            f'pip install "cuda-bindings>=12.8,<13" ({JETPACK_6})'
        ) from error


def find_gpu(cuda: Any) -> Gpu:
    """The first visible GPU (CUDA_VISIBLE_DEVICES picks another)."""
    try:
        status, count = cuda.cudaGetDeviceCount()
        driver = _version_text(_value(cuda.cudaDriverGetVersion()))
        runtime = _version_text(_value(cuda.cudaRuntimeGetVersion()))
    except RuntimeError as error:  # so cuda-bindings up to 12.8 tell that there is no libcuda.so.1
        raise MtpanoError(f"{_NO_ANSWER} ({error})") from error
    if int(status) == _NO_DRIVER and driver != "0.0":
        raise MtpanoError(
            f"the NVIDIA driver supports CUDA {driver}, cuda-bindings needs {runtime}: "
            f"{_older_bindings(driver)}"
        )
    if int(status) == _NO_DRIVER:
        raise MtpanoError(_NO_ANSWER)
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
        multi_processors=int(properties.multiProcessorCount),
        memory=int(properties.totalGlobalMem),
        integrated=bool(properties.integrated),
        driver=driver,
        runtime=runtime,
    )


def _older_bindings(driver: str) -> str:
    """What to install where the driver is too old for the CUDA of cuda-bindings."""
    major, minor = (int(part) for part in driver.split("."))
    if is_jetson():
        return (
            f'pip install "{_JETPACK_6_BINDINGS}" in place of cuda-bindings, or apt install '
            "cuda-compat-12-9"
        )
    if major == 12 and minor < 8:  # older bindings than 12.8 exist under the other name alone
        return f'update the driver, or pip install "{_JETPACK_6_BINDINGS}" in its place'
    return (
        f'pip install "cuda-bindings<={major}.{minor}.99" tensorrt-cu{major} (in place of '
        "tensorrt) or update the driver"
    )


def load_tensorrt() -> Any:
    """The module tensorrt, 10.3 or newer."""
    try:
        tensorrt = importlib.import_module("tensorrt")
    except Exception as error:  # broken installations raise anything
        raise MtpanoError(
            f"TensorRT cannot be imported ({one_line(error)}): pip install tensorrt-cu12 or "
            "tensorrt-cu13, as the driver's CUDA is; on a Jetson apt install python3-libnvinfer "
            "and make the virtual environment with --system-site-packages"
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


def can_type_weakly(tensorrt: Any) -> bool:
    """Whether this version may choose the precision of layers by itself (before 11)."""
    return version(tensorrt) < WEAK_TYPING_UNTIL


def start(kind: Callable[[Any], Any], tensorrt: Any, logger: Any) -> Any:
    """`kind(logger)` for Builder and Runtime, which answer a broken driver with TypeError."""
    try:
        return kind(logger)
    except TypeError as error:
        raise MtpanoError(
            f"TensorRT {tensorrt.__version__} does not start on this machine "
            f"({logger.last_error or error}): check with nvidia-smi that the driver is as new as "
            "TensorRT's CUDA; for a driver of CUDA 12, pip install tensorrt-cu12 in place of "
            "tensorrt"
        ) from error


def make_logger(tensorrt: Any) -> Any:
    """TensorRT's messages go to Python's logging, one level milder; `last_error` keeps the last,
    `messages` counts all.

    What an error means for the user is said by whoever called TensorRT.
    """
    kinds = tensorrt.ILogger.Severity
    levels = {
        kinds.INTERNAL_ERROR: logging.WARNING,
        kinds.ERROR: logging.WARNING,
        kinds.WARNING: logging.INFO,
        kinds.INFO: logging.DEBUG,
    }

    class Logger(tensorrt.ILogger):
        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)
            self.last_error = ""
            self.messages = 0

        def log(self, severity: Any, message: str) -> None:
            self.messages += 1
            level = levels.get(severity)
            if level == logging.INFO and _FOREIGN_ENGINE in message:
                level = logging.WARNING
            if severity in (kinds.INTERNAL_ERROR, kinds.ERROR):
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
