"""Tiny ONNX classifiers of every shape that MODEL_PATH may name: they tell the colours of an image, no more."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

COLOURS = ("red", "green", "blue")


def write_model(
    path: Path,
    *,
    layout: str = "NCHW",
    size: int | str = "side",
    batch: int | str = "images",
    kind: int = TensorProto.FLOAT,
    gives_probabilities: bool = False,
    has_background: bool = False,
    classes: int = 3,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a model whose classes are the means of the three colours, as logits or as probabilities.

    A background is one more class before them, and the likeliest; more `classes` than three repeat the colours.
    """
    shape: Sequence[int | str] = (batch, 3, size, size) if layout == "NCHW" else (batch, size, size, 3)
    axes = [2, 3] if layout == "NCHW" else [1, 2]
    weights = np.eye(3, classes, dtype=np.float32) * (1 if kind == TensorProto.FLOAT else 1 / 32)
    bias = np.zeros(classes, dtype=np.float32)
    if has_background:
        weights, bias = np.pad(weights, ((0, 0), (1, 0))), np.pad(bias, (1, 0), constant_values=99)
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["means"], axes=axes, keepdims=0),
        helper.make_node("Gemm", ["means", "weights", "bias"], ["logits"]),
    ]
    if gives_probabilities:
        nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
    output = "probabilities" if gives_probabilities else "logits"
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, weights.shape[1]])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save_model(model, str(path))
    return path


def write_labels(path: Path, labels: Sequence[str] = COLOURS) -> Path:
    """Write labels, one a line."""
    path.write_text("\n".join(labels), encoding="utf-8")
    return path
