"""The peer of songs.py: a genre service as it is commonly written, with pandas, a vectoriser per fold and the ORM."""

import pickle
import time
import warnings
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from shelflist.shared.database import create_engine
from shelflist.songs.features import NUMBER_COLUMNS
from shelflist.songs.fitting import PARAMETERS, ROUNDS
from shelflist.songs.model_files import FOLDS
from shelflist.songs.sample import LABELS, SONGS

NUMBERS = [name for name in NUMBER_COLUMNS if name not in ("key", "mode")]


def _now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    pass


class PlainSong(Base):
    __tablename__ = "plain_songs"
    trackid: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    title_key: Mapped[str]
    tags: Mapped[str]
    audio: Mapped[list[float]] = mapped_column(ARRAY(DOUBLE_PRECISION))
    predicted_genre: Mapped[str]
    probability: Mapped[float]
    probabilities: Mapped[list[float]] = mapped_column(ARRAY(DOUBLE_PRECISION))
    model_version: Mapped[str]
    predicted_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), default=_now)
    corrected_genre: Mapped[str | None]
    corrected_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    genre: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), default=_now)
    updated_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), default=_now)


class Peer:
    """A service as it is commonly written; its models are trained once and kept."""

    def __init__(self, folder: Path, engine: sa.Engine) -> None:
        import pandas as pd
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.model_selection import StratifiedKFold

        self._engine = engine
        # pandas' own warning that a frame was put together of many parts.
        warnings.simplefilter("ignore")
        frame = pd.read_csv(folder / SONGS)
        labels = pd.read_csv(folder / LABELS)["genre"]
        self._genres = sorted(labels.unique())
        models = []
        for inside, _ in StratifiedKFold(FOLDS, shuffle=True, random_state=1).split(frame, labels):
            part = frame.iloc[inside]
            vectoriser = TfidfVectorizer().fit(part["tags"])
            columns = self._columns(part, vectoriser)
            models.append((vectoriser, list(columns), self._trained(columns, labels.iloc[inside])))
        self._models = pickle.loads(pickle.dumps(models))

    def take(self, path: Path) -> int:
        """Judge and store the songs of a file, and return how many."""
        import numpy as np
        import pandas as pd

        frame = pd.read_csv(path)
        parts = []
        for vectoriser, names, model in self._models:
            columns = self._columns(frame, vectoriser).reindex(columns=names, fill_value=0)
            parts.append(model.predict_proba(columns))
        self._store(frame, np.mean(parts, axis=0))
        return len(frame)

    @staticmethod
    def _columns(frame: Any, vectoriser: Any) -> Any:
        import pandas as pd

        names = [f"word_{name}" for name in vectoriser.get_feature_names_out()]
        words = pd.DataFrame(vectoriser.transform(frame["tags"]).toarray(), columns=names, index=frame.index)
        dummies = pd.get_dummies(frame[["key", "mode"]], columns=["key", "mode"])
        return pd.concat([frame[NUMBERS], dummies, words], axis=1)

    @staticmethod
    def _trained(columns: Any, labels: Any) -> Any:
        from lightgbm import LGBMClassifier

        same = {name: PARAMETERS[name] for name in ("learning_rate", "num_leaves", "min_data_in_leaf")}
        model = LGBMClassifier(n_estimators=ROUNDS, verbose=-1, **same)
        return model.fit(columns, labels)

    def _store(self, frame: Any, probabilities: Any) -> None:
        with Session(self._engine) as session:
            for (_, row), chances in zip(frame.iterrows(), probabilities, strict=True):
                genre = self._genres[int(chances.argmax())]
                session.add(
                    PlainSong(
                        trackid=str(row["trackID"]),
                        title=row["title"],
                        title_key=row["title"].casefold(),
                        tags=row["tags"],
                        audio=[float(row[name]) for name in NUMBER_COLUMNS],
                        predicted_genre=genre,
                        probability=float(chances.max()),
                        probabilities=chances.tolist(),
                        model_version="1",
                        genre=genre,
                    )
                )
            session.commit()


def be_peer(url: str, folder: Path, pipe: Connection) -> None:
    """Train, then take the files that are named, and tell how long each takes; runs in a process of its own."""
    peer = Peer(folder, create_engine(url, "peer"))
    pipe.send(0.0)
    while (path := pipe.recv()) is not None:
        started = time.perf_counter()
        peer.take(path)
        pipe.send(time.perf_counter() - started)
