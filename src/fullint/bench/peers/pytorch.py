"""torch, eager and compiled."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

from fullint.bench.peers.peer import Peer, PeerTask, need


def _prepare(task: PeerTask, *, bfloat16: bool, compiles: bool) -> Callable[[], object]:
    torch = need("torch")
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    model = copy.deepcopy(task.model).to(dtype).eval()
    if compiles:
        # Every task is compiled anew; past a limit of recompilations torch would run eagerly.
        torch.compiler.reset()
        # Else weights are not packed for bfloat16 kernels. It stays set: once another peer has
        # reset the compiler, the next run compiles again.
        config: Any = need("torch._inductor.config")
        config.freezing = True
        model = torch.compile(model, dynamic=False)
    images = torch.from_numpy(task.input).to(dtype)

    def run() -> object:
        # The number of threads is torch's global setting: other peers must not meet it.
        before = torch.get_num_threads()
        torch.set_num_threads(task.threads)
        try:
            with torch.inference_mode():
                return model(images)
        finally:
            torch.set_num_threads(before)

    run()
    return run


TORCH_PEERS = tuple(
    Peer(name, settings, functools.partial(_prepare, bfloat16=bfloat16, compiles=compiles))
    for name, settings, bfloat16, compiles in (
        ("torch-fp32", "eager, inference_mode", False, False),
        ("torch-bf16", "eager, inference_mode, model and input bfloat16", True, False),
        ("torch-compile-bf16", "torch.compile(dynamic=False), frozen, bfloat16", True, True),
    )
)
