"""The peers of load.py: a loader as it is commonly written with pandas, and imdb-sqlite from the Python Package Index.

Run as a script (which load.py does, with DATABASE_URL and the folder with the files), it is the loader with pandas.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import sqlalchemy as sa
from load_runs import FILES, Measured, measured

IMDB_SQLITE = "imdb-sqlite"
CHUNK_ROWS = 10_000

# As such projects have them: a key for each table, and an index for each column that is looked for.
TABLES = (
    "CREATE TABLE movies (id serial PRIMARY KEY, imdb_id text UNIQUE, title text, original_title text, year integer, "
    "runtime integer, rating double precision, votes integer)",
    "CREATE TABLE genres (id integer PRIMARY KEY, name text UNIQUE)",
    "CREATE TABLE movie_genres (movie_id integer REFERENCES movies (id), genre_id integer REFERENCES genres (id), "
    "PRIMARY KEY (movie_id, genre_id))",
    "CREATE INDEX ON movies (title)",
    "CREATE INDEX ON movies (year)",
    "CREATE INDEX ON movies (rating)",
    "CREATE INDEX ON movie_genres (genre_id)",
)


def load_with_pandas(engine: sa.Engine, files: Path) -> int:
    """Load the movies of both files, and return how many."""
    import pandas as pd

    basics, ratings = (
        pd.read_csv(files / name, sep="\t", na_values="\\N", quoting=csv.QUOTE_NONE, low_memory=False) for name in FILES
    )
    frame = basics[basics["titleType"] == "movie"].merge(ratings, on="tconst", how="left").reset_index(drop=True)
    movies = pd.DataFrame(
        {
            "id": frame.index + 1,
            "imdb_id": frame["tconst"],
            "title": frame["primaryTitle"],
            "original_title": frame["originalTitle"],
            "year": pd.to_numeric(frame["startYear"], errors="coerce"),
            "runtime": pd.to_numeric(frame["runtimeMinutes"], errors="coerce"),
            "rating": frame["averageRating"],
            "votes": frame["numVotes"],
        }
    )
    exploded = pd.DataFrame({"movie_id": movies["id"], "genre": frame["genres"].str.split(",")}).explode("genre")
    exploded = exploded.dropna().drop_duplicates()
    names = sorted(exploded["genre"].unique())
    genres = pd.DataFrame({"id": range(1, len(names) + 1), "name": names})
    links = exploded.assign(genre_id=exploded["genre"].map(dict(zip(names, genres["id"], strict=True))))
    with engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE movie_genres, genres, movies"))
        for table, rows in (("movies", movies), ("genres", genres), ("movie_genres", links[["movie_id", "genre_id"]])):
            rows.to_sql(table, connection, if_exists="append", index=False, chunksize=CHUNK_ROWS, method="multi")
    return len(movies)


def pandas_peer(url: str, files: Path) -> tuple[Measured, int]:
    """Run the loader with pandas in a process of its own; its time is that of the load alone, imports left out."""
    run = measured([sys.executable, __file__, str(files)], DATABASE_URL=url)
    figures = json.loads(run.output.splitlines()[-1])
    return Measured(figures["seconds"], run.peak, run.output), figures["movies"]


def install_imdb_sqlite(folder: Path) -> str | None:
    """Install the package into a folder of its own, and return why that failed, if it did."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        command = [sys.executable, "-m", "pip", "install"]
    else:
        command = [uv, "pip", "install", "--python", sys.executable]
    done = subprocess.run(
        [*command, "--quiet", "--target", str(folder), IMDB_SQLITE], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return None
    return " ".join(done.stderr.split())[:300] or f"{command[0]} ended with {done.returncode}"


def imdb_sqlite(folder: Path, files: Path) -> Measured:
    """Import both files, every title in them, into an SQLite database, which is gone afterwards."""
    database = folder / "imdb.db"
    command = [sys.executable, "-m", "imdb_sqlite", "--db", str(database), "--cache-dir", str(files)]
    try:
        return measured([*command, "--only", "titles,ratings"], PYTHONPATH=str(folder))
    finally:
        database.unlink(missing_ok=True)


def main() -> None:
    # A driver-level engine without any of our settings, as such projects make it.
    engine = sa.create_engine(os.environ["DATABASE_URL"])
    with engine.begin() as connection:
        for statement in TABLES:
            connection.execute(sa.text(statement))
    import pandas  # noqa: F401 - not part of the load

    started = time.perf_counter()
    movies = load_with_pandas(engine, Path(sys.argv[1]))
    print(json.dumps({"seconds": time.perf_counter() - started, "movies": movies}))


if __name__ == "__main__":
    main()
