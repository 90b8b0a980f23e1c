"""OpenVINO, and NNCF's post-training quantization for it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fullint.bench.peers.peer import Peer, PeerTask, need, part_of

CALIBRATION_IMAGES = 128


def _prepare(task: PeerTask, *, precision: str, quantizes: bool) -> Callable[[], object]:
    graph = _quantized(task) if quantizes else _converted(task)
    return compiled_run(graph, task.input, task.threads, precision)


def compiled_run(
    graph: Any, images: np.ndarray, threads: int, precision: str
) -> Callable[[], object]:
    """A function that runs an OpenVINO graph on normalised float32 images (N, channels, height,
    width); `precision` is that of what is not int8, f32 or bf16.
    """
    # Threads that share a batch are faster with images of their own than with parts of each image.
    streams = threads if len(images) % threads == 0 else 1
    parts = np.split(images, streams)
    graph.reshape(parts[0].shape)
    compiled = (
        need("openvino")
        .Core()
        .compile_model(
            graph,
            "CPU",
            {
                "INFERENCE_NUM_THREADS": threads,
                "INFERENCE_PRECISION_HINT": precision,
                "PERFORMANCE_HINT": "LATENCY",
                "NUM_STREAMS": streams,
            },
        )
    )
    requests = [compiled.create_infer_request() for _ in parts]

    def run() -> None:
        for request, part in zip(requests, parts, strict=True):
            request.start_async({0: part}, share_inputs=True)
        for request in requests:
            request.wait()

    return run


def _converted(task: PeerTask) -> Any:
    openvino, torch = need("openvino"), need("torch")
    path = task.folder / "openvino.xml"
    if not path.exists():
        example = torch.from_numpy(task.images[:1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's tracing
            graph = openvino.convert_model(task.model, example_input=example)
        _save(graph, path)
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
        _save(quantized, path)
    return openvino.Core().read_model(path)


def _save(graph: Any, path: Path) -> None:
    part = part_of(path)
    need("openvino").save_model(graph, part, compress_to_fp16=False)
    # The weights first: where the other file is, both are.
    part.with_suffix(".bin").replace(path.with_suffix(".bin"))
    part.replace(path)


OPENVINO_PEERS = tuple(
    Peer(
        name,
        f"CPU, LATENCY hint, static shapes, a stream a thread where they can share the batch, "
        f"inference precision {precision}"
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
