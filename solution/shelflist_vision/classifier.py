"""A classifier in ONNX: looked at once to see what it takes and gives, then run on batches of images."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .labels import Label
from .model_files import ModelError, ModelFiles
from .preprocessing import Form, Pixels

DEFAULT_SIZE = 224
_TYPES = {"tensor(float)": True, "tensor(uint8)": False}
# What models of PyTorch and of TensorFlow are mostly trained on; a model's own metadata go first.
_TORCH = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
_TENSORFLOW = ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
_PROBE_SEED = 1

Scores = NDArray[np.float32]


class Classifier:
    """One loaded model; any number of threads may run it, each on a single CPU."""

    def __init__(self, files: ModelFiles) -> None:
        """Load the model and run it once; raises ModelError where it is no classifier with these labels."""
        self.version = files.version
        self.labels = files.labels
        self._path = files.path
        self._session = _load(files)
        entry = self._entry()
        self._input = entry.name
        self.form = _form(entry, self._session.get_modelmeta().custom_metadata_map, self._path.name)
        count = entry.shape[0]
        self.fixed_batch: int | None = count if isinstance(count, int) else None
        self._gives_probabilities = False
        self._first = 0
        self._look()

    def _entry(self) -> Any:
        entries = self._session.get_inputs()
        if len(entries) != 1 or len(entries[0].shape) != 4 or entries[0].type not in _TYPES:
            raise self._wrong("it needs one input of images, float32 or uint8, with four dimensions")
        return entries[0]

    def _wrong(self, reason: str) -> ModelError:
        return ModelError(f"{self._path.name} cannot be served: {reason}")

    def _look(self) -> None:
        """Run it once: how many classes come, and as what."""
        try:
            rows = self._run([self.noise()])
        except Exception as error:
            raise self._wrong(f"it fails on an image: {_line(error)}") from error
        classes, named = rows.shape[1], len(self.labels)
        if classes not in (named, named + 1):
            raise self._wrong(f"it has {classes} classes and {named} labels; MODEL_LABELS names a file of its own")
        # The classifiers of TensorFlow's older zoo begin with one for the background.
        self._first = classes - named
        self._gives_probabilities = bool((rows >= 0).all() and abs(float(rows.sum()) - 1) < 1e-3)

    def noise(self) -> Pixels:
        """Return an image of nothing, to try the model with; always the same."""
        size = self.form.size
        return np.random.default_rng(_PROBE_SEED).integers(0, 256, (size, size, 3), np.uint8)

    def scores(self, images: Sequence[Pixels]) -> list[Scores]:
        """Return the probabilities of all classes for each image; raises where the model fails or gives no numbers."""
        rows = self._run(images)[:, self._first :]
        if not np.isfinite(rows).all():
            raise ArithmeticError("the model gave something other than numbers")
        if not self._gives_probabilities:
            rows = np.exp(rows - rows.max(axis=1, keepdims=True))
        sums = rows.sum(axis=1, keepdims=True)
        return list(rows / np.where(sums > 0, sums, 1))

    def best(self, scores: Scores, count: int) -> list[Label]:
        """Return the most probable classes, best first."""
        order = np.argsort(-scores, kind="stable")[:count]
        return [Label(self.labels[index], float(scores[index])) for index in order]

    def _run(self, images: Sequence[Pixels]) -> Scores:
        size = self.fixed_batch or len(images)
        found = []
        for start in range(0, len(images), size):
            part = list(images[start : start + size])
            filled = part + [part[0]] * (size - len(part))
            rows = self._session.run(None, {self._input: self.form.batch(filled)})[0]
            found.append(np.asarray(rows, dtype=np.float32).reshape(size, -1)[: len(part)])
        return np.concatenate(found)


def _load(files: ModelFiles) -> Any:
    options = onnxruntime.SessionOptions()
    # Requests share the CPUs, not the parts of one: nothing spins and nothing waits for the slowest thread.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(files.path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"{files.path.name} cannot be loaded: {_line(error)}") from error


def _form(entry: Any, metadata: Mapping[str, str], name: str) -> Form:
    """Return how the model wants its images, by the shape of its input and its metadata."""
    _, *shape = entry.shape
    layout: Literal["NCHW", "NHWC"] = "NHWC" if shape[2] == 3 and shape[0] != 3 else "NCHW"
    channels = shape[2] if layout == "NHWC" else shape[0]
    height, width = shape[:2] if layout == "NHWC" else shape[1:]
    sizes = {side for side in (height, width) if isinstance(side, int)}
    if (isinstance(channels, int) and channels != 3) or len(sizes) > 1:
        raise ModelError(f"{name} cannot be served: it needs square images of three colours, not {entry.shape}")
    usual_mean, usual_std = _TENSORFLOW if layout == "NHWC" else _TORCH
    try:
        crop = float(metadata.get("crop", "0.875"))
        mean, std = _triple(metadata.get("mean"), usual_mean), _triple(metadata.get("std"), usual_std)
        if not 0 < crop <= 1 or min(std) <= 0:
            raise ValueError("a crop is above 0 and at most 1, and a std above 0")
    except ValueError as error:
        raise ModelError(f"{name} cannot be served: the mean, std or crop of its metadata: {error}") from error
    size = sizes.pop() if sizes else DEFAULT_SIZE
    return Form(size, crop, mean, std, layout, is_normalised=_TYPES[entry.type])


def _triple(text: str | None, default: tuple[float, float, float]) -> tuple[float, float, float]:
    if text is None:
        return default
    first, second, third = (float(part) for part in text.split(","))
    return first, second, third


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
