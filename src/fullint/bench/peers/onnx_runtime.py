"""ONNX Runtime, in float and with its static quantization."""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fullint.bench.peers.peer import Peer, PeerTask, need, part_of

CALIBRATION_IMAGES = 64


def _prepare(task: PeerTask, *, quantizes: bool) -> Callable[[], object]:
    runtime = need("onnxruntime")
    path = _quantized(task) if quantizes else _exported(task)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = task.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: task.input}
    return lambda: session.run(None, feed)


def _exported(task: PeerTask) -> Path:
    torch = need("torch")
    need("onnx")
    need("onnxscript")
    path = task.folder / f"model-{task.batch}.onnx"
    if not path.exists():
        part = part_of(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own deprecations
            torch.onnx.export(
                task.model,
                (torch.from_numpy(task.input),),
                str(part),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        part.replace(path)
    return path


def _quantized(task: PeerTask) -> Path:
    quantization = need("onnxruntime.quantization")
    preparation = need("onnxruntime.quantization.shape_inference")
    source = _exported(task)
    path = task.folder / f"model-int8-{task.batch}.onnx"
    if path.exists():
        return path
    prepared = task.folder / f"model-prepared-{task.batch}.onnx"
    preparation.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    images = [
        task.images[start : start + task.batch]
        for start in range(0, len(task.images) - task.batch + 1, task.batch)
    ][: max(CALIBRATION_IMAGES // task.batch, 1)]
    name = need("onnxruntime").InferenceSession(str(prepared)).get_inputs()[0].name

    class Reader(quantization.CalibrationDataReader):  # type: ignore[name-defined]
        """Feeds the calibration images."""

        def __init__(self) -> None:
            self.feeds = iter([{name: batch} for batch in images or [task.input]])

        def get_next(self) -> dict[str, np.ndarray] | None:
            """The next batch, or None."""
            return next(self.feeds, None)

    logging.getLogger().setLevel(logging.ERROR)
    part = part_of(path)
    quantization.quantize_static(
        str(prepared),
        str(part),
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    part.replace(path)
    return path


ONNX_RUNTIME_PEERS = (
    Peer(
        "onnxruntime-fp32",
        "CPUExecutionProvider, all graph optimizations",
        functools.partial(_prepare, quantizes=False),
        obeys_isa=False,
    ),
    Peer(
        "onnxruntime-int8",
        "static QDQ quantization, per channel, u8 activations, s8 weights",
        functools.partial(_prepare, quantizes=True),
        obeys_isa=False,
    ),
)
