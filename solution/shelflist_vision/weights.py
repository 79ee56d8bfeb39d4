"""The built-in model: EfficientNet-Lite0's published PyTorch weights, written as ONNX without PyTorch.

The architecture is EfficientNet-B0's (Tan and Le 2019, https://arxiv.org/abs/1905.11946, table 1) as the Lite family
has it: no squeeze-and-excitation, ReLU6 for swish, and padding as TensorFlow does it, where the weights come from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from .torch_files import read_tensors

NAME = "efficientnet-lite0"
VERSION = 1
"""Counts up whenever the same weights become another file."""
OPSET = 17
IMAGE_SIZE = 224
# Of TensorFlow's original: pixels as (value - 127) / 128, and the middle 224 / (224 + 32) of a photograph.
METADATA = {"mean": "127,127,127", "std": "128,128,128", "crop": "0.875"}

_EPSILON = 1e-3

Tensors = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class _Stage:
    """Blocks of one kind; only the first has the stride."""

    blocks: int
    stride: int


_STAGES = (_Stage(1, 1), _Stage(2, 2), _Stage(2, 2), _Stage(3, 2), _Stage(3, 1), _Stage(4, 2), _Stage(1, 1))


class _Graph:
    """Nodes and weights as they are added; each method returns the name of its output."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[TensorProto] = []

    def constant(self, name: str, value: NDArray[np.floating[Any]]) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name))
        return name

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def convolution(self, source: str, name: str, norm: str, *, stride: int = 1, is_depthwise: bool = False) -> str:
        """Add a convolution without bias and the batch normalisation behind it, as one with bias."""
        kernel = self.tensors[f"{name}.weight"].astype(np.float64)
        scale = self.tensors[f"{norm}.weight"].astype(np.float64)
        scale /= np.sqrt(self.tensors[f"{norm}.running_var"].astype(np.float64) + _EPSILON)
        bias = self.tensors[f"{norm}.bias"] - self.tensors[f"{norm}.running_mean"] * scale
        kernel *= scale[:, None, None, None]
        inputs = [source, self.constant(f"{name}.kernel", kernel), self.constant(f"{name}.bias", bias)]
        return self.node(
            "Conv",
            inputs,
            f"{name}.sum",
            auto_pad="SAME_UPPER",
            group=kernel.shape[0] if is_depthwise else 1,
            kernel_shape=kernel.shape[2:],
            strides=[stride, stride],
        )

    def relu6(self, source: str) -> str:
        return self.node("Clip", [source, "zero", "six"], f"{source}.relu6")


def convert(weights: Path, target: Path) -> None:
    """Write the network with the weights of `weights` to `target`.

    Its input `images` is (images, 3, 224, 224) normalised as its metadata say, its output `logits` (images, 1000).
    Raises ValueError where the file holds other tensors than this network's.
    """
    onnx.save_model(build(read_tensors(weights)), str(target))


def build(tensors: Tensors) -> onnx.ModelProto:
    """Return the network with these weights; raises ValueError for those of another network."""
    try:
        graph = _network(tensors)
    except (KeyError, IndexError) as error:
        raise ValueError(f"these are not the weights of {NAME}: {error}") from error
    classes = tensors["_fc.bias"].shape[0]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["images", 3, IMAGE_SIZE, IMAGE_SIZE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["images", classes])
    model = helper.make_model(
        helper.make_graph(graph.nodes, NAME, [images], [logits], graph.weights),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="shelflist_vision",
        ir_version=8,
    )
    helper.set_model_props(model, METADATA)
    onnx.checker.check_model(model, full_check=True)
    return model


def _network(tensors: Tensors) -> _Graph:
    graph = _Graph(tensors)
    graph.constant("zero", np.array(0, dtype=np.float32))
    graph.constant("six", np.array(6, dtype=np.float32))
    values = graph.relu6(graph.convolution("images", "_conv_stem", "_bn0", stride=2))
    for number, stride in enumerate(_strides()):
        values = _block(graph, values, f"_blocks.{number}", stride)
    values = graph.relu6(graph.convolution(values, "_conv_head", "_bn1"))
    values = graph.node("GlobalAveragePool", [values], "pooled")
    values = graph.node("Flatten", [values], "features", axis=1)
    classifier = [graph.constant(f"_fc.{name}", tensors[f"_fc.{name}"]) for name in ("weight", "bias")]
    graph.node("Gemm", [values, *classifier], "logits", transB=1)
    return graph


def _strides() -> Iterator[int]:
    for stage in _STAGES:
        yield stage.stride
        yield from [1] * (stage.blocks - 1)


def _block(graph: _Graph, source: str, name: str, stride: int) -> str:
    """Add an inverted residual block (Sandler et al. 2018, https://arxiv.org/abs/1801.04381)."""
    values = source
    has_expansion = f"{name}._expand_conv.weight" in graph.tensors
    if has_expansion:
        values = graph.relu6(graph.convolution(values, f"{name}._expand_conv", f"{name}._bn0"))
    values = graph.convolution(values, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride, is_depthwise=True)
    values = graph.convolution(graph.relu6(values), f"{name}._project_conv", f"{name}._bn2")
    first = graph.tensors[f"{name}.{'_expand_conv' if has_expansion else '_depthwise_conv'}.weight"]
    entering = first.shape[1] if has_expansion else first.shape[0]
    leaving = graph.tensors[f"{name}._project_conv.weight"].shape[0]
    if stride == 1 and entering == leaving:
        values = graph.node("Add", [values, source], f"{name}.sum")
    return values
