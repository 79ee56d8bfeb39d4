"""Which values of the vectors tell the labels apart: trees are trained on them, in the background."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from shelflist.shared.jobs import Arguments, JobContext, JobKind, register

from . import analysis_queries as queries
from . import revisions
from .tables import VECTOR_LENGTH, feature_importances

if TYPE_CHECKING:
    import numpy as np

KIND = "feature-importance"
MAX_ROWS = 10_000
"""Videos to train on and to test with, together."""
MAX_PERMUTED_ROWS = 1_000
"""Held-out videos whose values are permuted."""
TREES = 100
REPEATS = 5
TEST_SHARE = 0.25
KEPT = 100
"""Results that are kept, the newest."""

_BATCH = 1_000
# Shares of the work, as measured.
_READ, _TRAINED = 0.05, 0.2

Progress = Callable[[float], None]


def importance_arguments(target: str, seed: int, filters: queries.AnalysisFilters) -> Arguments:
    """Return the arguments of the job, equal for equal requests."""
    moments = {"created_gte": filters.created_gte, "created_lt": filters.created_lt}
    texts = {name: moment and moment.isoformat() for name, moment in moments.items()}
    return {"target": target, "seed": seed, "tvshow": filters.tvshow, **texts}


def run(context: JobContext, arguments: Arguments) -> Arguments:
    """Compute and keep the importance of every feature, and return it as the API shows it.

    Raises NotEnoughVideos where they have become too few, JobCancelled where nobody wants the result any more.
    """
    target, seed = arguments["target"], arguments["seed"]
    isolation = context.engine.execution_options(isolation_level="REPEATABLE READ")
    with isolation.begin() as connection:
        version = revisions.current(connection)
        filters = _filters(arguments)
        queries.check_trainable(connection, target, filters)
        available = queries.trainable_ids(connection, filters)
        ids = sample(available, seed)
        vectors, labels = _read(connection, ids, target, lambda share: context.progress(_READ * share))
    figures = importances(vectors, labels, seed, lambda share: context.progress(_READ + (1 - _READ) * share))
    result = {
        "target": target,
        "seed": seed,
        "data_version": version,
        "rows_used": len(ids),
        "rows_available": len(available),
        **figures,
    }
    with context.engine.begin() as connection:
        keep(connection, arguments, version, result)
    return result


def sample(ids: Sequence[int], seed: int) -> list[int]:
    """Return all ids, or MAX_ROWS of them drawn by `seed`, in their order."""
    import numpy as np

    if len(ids) <= MAX_ROWS:
        return list(ids)
    chosen = np.random.default_rng(seed).choice(len(ids), MAX_ROWS, replace=False)
    return [ids[place] for place in sorted(chosen)]


def importances(vectors: "np.ndarray", labels: "np.ndarray", seed: int, progress: Progress) -> dict[str, Any]:
    """Return how well trees predict `labels` from `vectors`, and what each feature adds to it.

    `gain` is the mean decrease in impurity; `permutation` is the accuracy that is lost where the feature's values are
    shuffled (Breiman 2001, https://doi.org/10.1023/A:1010933404324), on videos that the trees have not seen.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import train_test_split

    train, test, train_labels, test_labels = train_test_split(
        vectors, labels, test_size=TEST_SHARE, random_state=seed, stratify=labels if may_stratify(labels) else None
    )
    forest = RandomForestClassifier(n_estimators=TREES, random_state=seed, n_jobs=1).fit(train, train_labels)
    progress(_TRAINED)
    calls, expected = 0, VECTOR_LENGTH * REPEATS + 1

    def score(model: RandomForestClassifier, rows: "np.ndarray", truth: "np.ndarray") -> float:
        nonlocal calls
        calls += 1
        progress(_TRAINED + (1 - _TRAINED) * calls / expected)
        return float(model.score(rows, truth))

    permuted = permutation_importance(
        forest,
        test[:MAX_PERMUTED_ROWS],
        test_labels[:MAX_PERMUTED_ROWS],
        scoring=score,
        n_repeats=REPEATS,
        random_state=seed,
    )
    most_frequent = min(Counter(train_labels.tolist()).items(), key=lambda item: (-item[1], item[0]))[0]
    features = [
        {"feature_index": index, "gain": float(gain), "permutation": float(mean), "permutation_std": float(deviation)}
        for index, (gain, mean, deviation) in enumerate(
            zip(forest.feature_importances_, permuted.importances_mean, permuted.importances_std, strict=True)
        )
    ]
    return {
        "held_out_rows": len(test),
        "held_out_accuracy": float(forest.score(test, test_labels)),
        "baseline_accuracy": float((test_labels == most_frequent).mean()),
        "model": f"RandomForestClassifier, {TREES} trees",
        "features": sorted(features, key=lambda feature: (-feature["gain"], feature["feature_index"])),
    }


def may_stratify(labels: "np.ndarray") -> bool:
    """Return whether every class can be in both parts, as train_test_split demands where it stratifies."""
    sizes = Counter(labels.tolist()).values()
    held_out = ceil(len(labels) * TEST_SHARE)
    return min(sizes) >= 2 and len(sizes) <= min(held_out, len(labels) - held_out)


def keep(connection: sa.Connection, arguments: Mapping[str, Any], version: int, result: Mapping[str, Any]) -> None:
    """Store what was computed from this version of the data, and drop all but the newest results."""
    new = insert(feature_importances).values(arguments=arguments, data_version=version, result=result)
    connection.execute(new.on_conflict_do_nothing())
    newest = sa.select(feature_importances.c.id).order_by(feature_importances.c.id.desc()).limit(KEPT)
    connection.execute(feature_importances.delete().where(feature_importances.c.id.not_in(newest)))


def _filters(arguments: Arguments) -> queries.AnalysisFilters:
    moments = {
        name: arguments[name] and datetime.fromisoformat(arguments[name]) for name in ("created_gte", "created_lt")
    }
    return queries.AnalysisFilters(arguments["tvshow"], **moments)


def _read(
    connection: sa.Connection, ids: Sequence[int], target: str, progress: Progress
) -> "tuple[np.ndarray, np.ndarray]":
    import numpy as np

    # In batches: as Python's floats a vector takes eight times the memory.
    vectors = np.empty((len(ids), VECTOR_LENGTH), dtype=np.float32)
    labels: list[str] = []
    for start in range(0, len(ids), _BATCH):
        rows = queries.vectors(connection, ids[start : start + _BATCH], target)
        vectors[start : start + len(rows)] = [row.feature_vector for row in rows]
        labels += [row.label for row in rows]
        progress((start + len(rows)) / len(ids))
    return vectors, np.array(labels)


register(JobKind(KIND, run, is_isolated=True))
