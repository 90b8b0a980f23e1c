"""OpenVINO, and NNCF's post-training quantization for it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from fullint.bench.peers.peer import Peer, PeerTask, need

CALIBRATION_IMAGES = 128


def _prepare(task: PeerTask, *, precision: str, quantizes: bool) -> Callable[[], object]:
    openvino = need("openvino")
    graph = _quantized(task) if quantizes else _converted(task)
    graph.reshape([task.batch, *task.images.shape[1:]])
    compiled = openvino.Core().compile_model(
        graph,
        "CPU",
        {
            "INFERENCE_NUM_THREADS": task.threads,
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
        },
    )
    request = compiled.create_infer_request()
    images = task.input
    return lambda: request.infer({0: images}, share_inputs=True)


def _converted(task: PeerTask) -> Any:
    openvino, torch = need("openvino"), need("torch")
    path = task.folder / "openvino.xml"
    if not path.exists():
        example = torch.from_numpy(task.images[:1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's tracing
            graph = openvino.convert_model(task.model, example_input=example)
        openvino.save_model(graph, path, compress_to_fp16=False)
    return openvino.Core().read_model(path)


def _quantized(task: PeerTask) -> Any:
    openvino, nncf = need("openvino"), need("nncf")
    path = task.folder / "openvino-int8.xml"
    if not path.exists():
        images = [image[None] for image in task.images[:CALIBRATION_IMAGES]]
        graph = _converted(task)
        graph.reshape([1, *task.images.shape[1:]])
        quantized = nncf.quantize(
            graph,
            nncf.Dataset(images),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(images),
        )
        openvino.save_model(quantized, path, compress_to_fp16=False)
    return openvino.Core().read_model(path)


OPENVINO_PEERS = tuple(
    Peer(
        name,
        f"CPU, LATENCY hint, static shapes, inference precision {precision}"
        + (", NNCF post-training quantization, model_type TRANSFORMER" if quantizes else ""),
        functools.partial(_prepare, precision=precision, quantizes=quantizes),
    )
    for name, precision, quantizes in (
        ("openvino-f32", "f32", False),
        ("openvino-bf16", "bf16", False),
        ("openvino-int8", "f32", True),
        ("openvino-int8-bf16", "bf16", True),
    )
)
