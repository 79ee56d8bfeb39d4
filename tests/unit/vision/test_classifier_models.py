"""Models of one's own: every shape that MODEL_PATH may name is served, anything else is told at the start."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from tests.factories.onnx_models import COLOURS, write_labels, write_model

from shelflist_vision.classifier import Classifier
from shelflist_vision.model_files import ModelError, model_files, read_labels
from shelflist_vision.preprocessing import Pixels
from shelflist_vision.settings import load_settings

RAW = {"mean": "0,0,0", "std": "8,8,8"}


def classifier(directory: Path, **shape: Any) -> Classifier:
    """Return a classifier by the three colours."""
    model = write_model(directory / "colours.onnx", **shape)
    labels = write_labels(directory / "labels.txt", shape.get("labels", COLOURS))
    return Classifier(model_files(load_settings(_env_file=None, model_path=model, model_labels=labels)))


def plain(size: int, *colour: int) -> Pixels:
    return np.full((size, size, 3), colour, dtype=np.uint8)


def names(found: Classifier, *colours: tuple[int, int, int]) -> list[str]:
    """Return the most probable class of each image, all of one batch."""
    scores = found.scores([plain(found.form.size, *colour) for colour in colours])
    assert [round(float(row.sum()), 5) for row in scores] == [1.0] * len(colours)
    return [found.best(row, 1)[0].class_name for row in scores]


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"layout": "NHWC"},
        {"size": 96},
        {"layout": "NHWC", "size": 64},
        {"batch": 1},
        {"batch": 4},
        {"batch": 1, "layout": "NHWC", "size": 299},
        {"kind": TensorProto.UINT8},
        {"kind": TensorProto.UINT8, "layout": "NHWC", "batch": 1},
        {"gives_probabilities": True},
        {"has_background": True},
        {"has_background": True, "gives_probabilities": True},
        {"metadata": RAW},
    ],
    ids=str,
)
def test_a_model_of_any_usual_shape_is_served(shape: dict[str, Any], tmp_path: Path) -> None:
    found = classifier(tmp_path, **shape)
    colours = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (10, 240, 20), (200, 0, 0), (0, 10, 200)]
    assert names(found, *colours) == ["red", "green", "blue", "green", "red", "blue"]


def test_the_size_is_the_models_own_or_224(tmp_path: Path) -> None:
    assert classifier(tmp_path).form.size == 224
    assert classifier(tmp_path, size=96).form.size == 96


def test_probabilities_are_taken_as_they_are(tmp_path: Path) -> None:
    found = classifier(tmp_path, gives_probabilities=True, metadata=RAW)
    (scores,) = found.scores([plain(224, 8, 16, 24)])
    wanted = np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum()
    np.testing.assert_allclose(scores, wanted, rtol=1e-4)


def test_logits_become_the_same_probabilities(tmp_path: Path) -> None:
    found = classifier(tmp_path, metadata=RAW)
    (scores,) = found.scores([plain(224, 8, 16, 24)])
    wanted = np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum()
    np.testing.assert_allclose(scores, wanted, rtol=1e-4)


def test_labels_come_best_first_and_no_more_than_asked(tmp_path: Path) -> None:
    found = classifier(tmp_path)
    (scores,) = found.scores([plain(224, 10, 200, 100)])
    assert [label.class_name for label in found.best(scores, 5)] == ["green", "blue", "red"]
    assert [label.class_name for label in found.best(scores, 2)] == ["green", "blue"]


def test_the_version_names_the_file_and_its_bytes(tmp_path: Path) -> None:
    first = classifier(tmp_path).version
    assert first.startswith("colours-") and len(first) == len("colours-") + 12
    assert classifier(tmp_path).version == first
    assert classifier(tmp_path, size=96).version != first


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ({"classes": 10}, "it has 10 classes and 3 labels"),
        ({"kind": TensorProto.DOUBLE}, "float32 or uint8"),
        ({"metadata": {"mean": "1,2"}}, "metadata"),
        ({"metadata": {"std": "0,1,1"}}, "metadata"),
        ({"metadata": {"crop": "2"}}, "metadata"),
    ],
    ids=str,
)
def test_a_model_that_does_not_fit_is_told_in_one_line(shape: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=reason) as raised:
        classifier(tmp_path, **shape)
    assert "\n" not in str(raised.value)


def test_an_input_that_is_no_square_of_colours_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "colours.onnx", size=96)
    model = onnx.load(str(path))
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 48
    onnx.save_model(model, str(path))
    settings = load_settings(_env_file=None, model_path=path, model_labels=write_labels(tmp_path / "labels"))
    with pytest.raises(ModelError, match="square images of three colours"):
        Classifier(model_files(settings))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(b"no model at all")
    with pytest.raises(ModelError, match=r"other\.onnx cannot be loaded"):
        Classifier(model_files(load_settings(_env_file=None, model_path=path)))


def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        model_files(load_settings(_env_file=None, model_path=tmp_path / "none.onnx"))


def test_numbers_that_are_none_are_an_error_and_no_answer(tmp_path: Path) -> None:
    path = write_model(tmp_path / "colours.onnx")
    model = onnx.load(str(path))
    model.graph.node[-1].input[1] = "broken"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full((3, 3), np.nan, dtype=np.float32), "broken"))
    onnx.save_model(model, str(path))
    settings = load_settings(_env_file=None, model_path=path, model_labels=write_labels(tmp_path / "labels"))
    with pytest.raises(ArithmeticError):
        found = Classifier(model_files(settings))
        found.scores([found.noise()])


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("red\ngreen\nblue\n", COLOURS),
        ("\ufeffred\r\ngreen\r\n\r\nblue", COLOURS),
        ('["red", "green", "blue"]', COLOURS),
    ],
    ids=["lines", "windows", "json"],
)
def test_labels_are_read_by_line_or_as_json(text: str, labels: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(text.encode())
    assert read_labels(path) == labels


@pytest.mark.parametrize("content", [b"", b"[]", b"[1, 2]", b'["a"', b"\xff\xfe"], ids=repr)
def test_labels_that_are_none_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="MODEL_LABELS"):
        read_labels(path)
