"""The artefact of a model: plain text and JSON with checksums, as a folder or as one archive; nothing in it can run."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from shelflist.shared.notices import Notice

from .features import Layout

FORMAT_VERSION = 1
FOLDS = 4
MAX_BYTES = 64 * 1024 * 1024
"""Bytes of all files of an artefact together."""

MODEL = "model.json"
CARD = "card.md"
CONFUSION = "confusion.svg"
FOLD_FILES = tuple(f"fold_{number}.txt" for number in range(FOLDS))
FILES = (MODEL, *FOLD_FILES, CARD, CONFUSION)

# The earliest that an archive can hold: the same model is the same bytes.
_ARCHIVED_AT = (1980, 1, 1, 0, 0, 0)


class ModelError(Notice):
    """A model that is not whole, has been altered or is of another format."""


@dataclass(frozen=True)
class Fold:
    """One LightGBM model in its text format, and the factor of its raw scores that calibrates them."""

    text: str
    temperature: float


@dataclass(frozen=True)
class Model:
    """A trained model with all that is known of it; `bias` is added to the calibrated scores, one a genre."""

    genres: tuple[str, ...]
    layout: Layout
    folds: tuple[Fold, ...]
    bias: tuple[float, ...]
    rows: int
    parameters: Mapping[str, Any]
    scores: Mapping[str, Any]
    libraries: Mapping[str, str]
    trained_at: datetime
    version: str = ""
    card: str = ""
    confusion: bytes = b""

    def description(self) -> dict[str, Any]:
        """Return what the model says of itself, without the layout's words: small enough to show."""
        layout = self.layout
        shown = {"layout_version": layout.to_json()["layout_version"], "features": len(layout.names)}
        parts = ("audio", "words", "themes", "languages")
        return {
            "version": self.version,
            "trained_at": self.trained_at.isoformat(),
            "rows": self.rows,
            "genres": list(self.genres),
            "layout": {**shown, **{part: len(getattr(layout, part)) for part in parts}},
            "parameters": dict(self.parameters),
            "scores": dict(self.scores),
            "libraries": dict(self.libraries),
        }


def with_version(model: Model) -> Model:
    """Return the model with its version: the day, and the start of a hash of all that decides or was measured."""
    return replace(model, version=f"{model.trained_at:%Y-%m-%d}-{_content_hash(model)[:8]}")


def write(folder: Path, model: Model) -> None:
    """Write the files of the model into the folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in _files(model).items():
        (folder / name).write_bytes(data)


def read(folder: Path) -> Model:
    """Return the model in the folder; raises ModelError where it is missing, altered or of an unknown format."""
    return _model({name: _read(folder / name) for name in FILES if (folder / name).exists()})


def to_bytes(model: Model) -> bytes:
    """Return the files of the model as one ZIP archive, the same bytes for the same model."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in _files(model).items():
            archive.writestr(zipfile.ZipInfo(name, _ARCHIVED_AT), data, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def from_bytes(data: bytes) -> Model:
    """Return the model of an archive; raises ModelError where it is none, altered or of an unknown format."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if member.filename in FILES]
            # What an archive says of its sizes is not exceeded when it is read.
            if sum(member.file_size for member in members) > MAX_BYTES:
                raise ModelError("the model is larger than any that is written here")
            files = {member.filename: archive.read(member) for member in members}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ModelError("the model is no readable archive") from error
    return _model(files)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path.name} of the model is larger than any that is written here")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path.name} of the model cannot be read") from error


def _files(model: Model) -> dict[str, bytes]:
    texts = {name: fold.text.encode() for name, fold in zip(FOLD_FILES, model.folds, strict=True)}
    others = {**texts, CARD: model.card.encode(), CONFUSION: model.confusion}
    document = {
        "format_version": FORMAT_VERSION,
        "version": model.version,
        "trained_at": model.trained_at.isoformat(),
        **_content(model),
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in others.items()},
    }
    return {MODEL: orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n", **others}


def _content(model: Model) -> dict[str, Any]:
    return {
        "rows": model.rows,
        "genres": model.genres,
        "temperatures": [fold.temperature for fold in model.folds],
        "bias": model.bias,
        "parameters": model.parameters,
        "scores": model.scores,
        "libraries": model.libraries,
        "layout": model.layout.to_json(),
    }


def _content_hash(model: Model) -> str:
    digest = hashlib.sha256(orjson.dumps(_content(model), option=orjson.OPT_SORT_KEYS))
    for fold in model.folds:
        digest.update(hashlib.sha256(fold.text.encode()).digest())
    return digest.hexdigest()


def _model(files: Mapping[str, bytes]) -> Model:
    missing = [name for name in FILES if name not in files]
    if missing:
        raise ModelError(f"the model lacks {', '.join(missing)}")
    try:
        document = orjson.loads(files[MODEL])
        known = document["format_version"] == FORMAT_VERSION
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ModelError(f"{MODEL} is no description of a model") from error
    if not known:
        raise ModelError(f"the model has format {document['format_version']!r}; this version reads {FORMAT_VERSION}")
    try:
        model = _parsed(document, files)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{MODEL} does not describe a model of format {FORMAT_VERSION}") from error
    if with_version(model).version != model.version:
        raise ModelError(f"{MODEL} has been altered: it is not what version {model.version} was made of")
    return model


def _parsed(document: Mapping[str, Any], files: Mapping[str, bytes]) -> Model:
    for name in FILES[1:]:
        if hashlib.sha256(files[name]).hexdigest() != document["sha256"][name]:
            raise ModelError(f"{name} of the model has been altered: its SHA-256 is not the one in {MODEL}")
    texts = [files[name].decode() for name in FOLD_FILES]
    genres = tuple(map(str, document["genres"]))
    bias = tuple(map(float, document["bias"]))
    if len(bias) != len(genres):
        raise ValueError("one bias a genre")
    return Model(
        genres=genres,
        layout=Layout.from_json(document["layout"]),
        folds=tuple(Fold(text, float(factor)) for text, factor in zip(texts, document["temperatures"], strict=True)),
        bias=bias,
        rows=int(document["rows"]),
        parameters=document["parameters"],
        scores=document["scores"],
        libraries=document["libraries"],
        trained_at=datetime.fromisoformat(document["trained_at"]),
        version=str(document["version"]),
        card=files[CARD].decode(),
        confusion=files[CONFUSION],
    )
