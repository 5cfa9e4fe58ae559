"""CUDA without TensorRT: our memory and graphs, and the network's answers, on a real GPU.

Skipped, with the reason, where there is none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtpano_model.errors import MtpanoError
from mtpano_model.graph.model_info import WEIGHTS
from mtpano_model.inference.engines.tensorrt.library import find_gpu, load_cuda
from mtpano_model.inference.engines.tensorrt.memory import Cuda, CudaError

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def cuda() -> Cuda:
    try:
        runtime = load_cuda()
        find_gpu(runtime)
    except MtpanoError as error:
        pytest.skip(str(error))
    return Cuda(runtime)


def test_a_captured_graph_copies_what_lies_in_pinned_memory_then(cuda: Cuda) -> None:
    stream = cuda.call("cudaStreamCreateWithFlags", cuda.runtime.cudaStreamNonBlocking)
    up, down = (cuda.pinned((256, 512, 3), np.uint8) for _ in range(2))
    up[:] = np.random.default_rng(0).integers(0, 256, up.shape, np.uint8)
    address = cuda.allocate(up.nbytes)

    def enqueue() -> None:
        cuda.copy_to_gpu(address, up, stream)
        cuda.copy_from_gpu(down, address, stream)

    graph = cuda.capture(stream, enqueue)
    assert not down.any()  # nothing ran yet
    for _ in range(3):
        up[:] = 255 - up
        cuda.call("cudaGraphLaunch", graph, stream)
        cuda.call("cudaStreamSynchronize", stream)
        np.testing.assert_array_equal(down, up)
    for name, handle in (
        ("cudaGraphExecDestroy", graph),
        ("cudaFree", address),
        ("cudaStreamDestroy", stream),
    ):
        cuda.call(name, handle)


def test_memory_that_no_gpu_has_is_an_error_with_a_name(cuda: Cuda) -> None:
    with pytest.raises(CudaError, match=r"cudaMalloc failed with cudaErrorMemoryAllocation \(2\)"):
        cuda.allocate(1 << 60)


def test_the_default_network_says_the_same_on_gpu_and_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch sees no CUDA device")
    if not (WEIGHTS / "default.safetensors").is_file():
        pytest.skip(f"the bundled checkpoint is absent: {WEIGHTS}")
    from mtpano_model.network.pretrained import from_pretrained

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    net = from_pretrained(Path(WEIGHTS / "default")).eval()
    picture = torch.randint(0, 256, (1, 3, 256, 512), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = net(picture.float()).final
        found = net.to("cuda")(picture.float().to("cuda")).final
    for task, values in expected.items():
        torch.testing.assert_close(found[task].cpu(), values, atol=1e-4, rtol=1e-4)
