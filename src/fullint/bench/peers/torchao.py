"""torchao's static int8 quantization (PT2E), compiled."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from fullint.bench.peers.peer import Peer, PeerTask, need

CALIBRATION_IMAGES = 64


def _prepare(task: PeerTask) -> Callable[[], object]:
    torch = need("torch")
    config = need("torch._inductor.config")
    images = torch.from_numpy(task.input)

    def run() -> object:
        # The number of threads is torch's global setting: other peers must not meet it.
        before = torch.get_num_threads()
        torch.set_num_threads(task.threads)
        try:
            with torch.no_grad():
                return compiled(images)
        finally:
            torch.set_num_threads(before)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages about each other
        model = _quantized(task)
        torch.compiler.reset()
        compiled = torch.compile(model, dynamic=False)
        with config.patch(freezing=True):  # else weights are not packed for the int8 kernels
            run()
    return run


def _quantized(task: PeerTask) -> Any:
    torch = need("torch")
    steps = need("torchao.quantization.pt2e.quantize_pt2e")
    x86 = need("torchao.quantization.pt2e.quantizer.x86_inductor_quantizer")
    images = torch.from_numpy(task.input)
    with torch.no_grad():
        quantizer = x86.X86InductorQuantizer()
        quantizer.set_global(x86.get_default_x86_inductor_quantization_config())
        exported = torch.export.export(task.model, (images,)).module()
        prepared = steps.prepare_pt2e(exported, quantizer)
        for start in range(0, min(len(task.images), CALIBRATION_IMAGES), task.batch):
            batch = torch.from_numpy(task.images[start : start + task.batch])
            prepared(batch if len(batch) == task.batch else images)
        return steps.convert_pt2e(prepared)


TORCHAO_PEERS = (
    Peer(
        "torchao-int8",
        "PT2E, X86InductorQuantizer's default settings, torch.compile(dynamic=False), frozen",
        _prepare,
    ),
)
