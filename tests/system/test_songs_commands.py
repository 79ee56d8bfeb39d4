"""`shelflist songs`: a model is trained, takes over under a running server, and what it would change is told first."""

import subprocess
import sys
from pathlib import Path

import pytest

from shelflist.shared.settings import environment_with
from tests.fixtures.server import CREDENTIALS, run_command, serving

PREDICT = "/classifier/predict-batch"


@pytest.mark.timeout(400)
def test_a_model_is_trained_activated_and_applied(database_url: str, tmp_path: Path) -> None:
    places = {"DATABASE_URL": database_url, "STATE_DIRECTORY": str(tmp_path / "state")}
    sample = tmp_path / "sample"
    made = run_command("songs", "sample", "--rows", "120", "--output", str(sample), **places)
    assert made.returncode == 0, made.stderr
    assert run_command("migrate", **places).returncode == 0
    with serving(database_url, tmp_path, STATE_DIRECTORY=places["STATE_DIRECTORY"]) as server:
        files = {"csv_file": (sample / "songs.csv").read_bytes()}
        first = server.http.post(PREDICT, files=files, headers=CREDENTIALS).json()
        assert (first["created"], first["total_rows_rejected"]) == (120, 0)

        files_of = ("--features", str(sample / "songs.csv"), "--labels", str(sample / "songs_labels.csv"))
        trained = run_command("songs", "train", *files_of, **places)
        assert trained.returncode == 0, trained.stderr
        version = trained.stdout.split()[1].rstrip(":")
        card = tmp_path / "state" / "models" / version / "card.md"
        assert card.read_text(encoding="utf-8").startswith(f"# Genres of songs, model {version}")
        listed = run_command("songs", "models", **places).stdout.splitlines()
        assert [line.split()[0] for line in listed[1:]] == [version, first["model_version"]]
        assert [line.endswith("active") for line in listed[1:]] == [False, True]

        refused = run_command("songs", "activate", "no-such-version", **places)
        assert (refused.returncode, refused.stderr) == (1, "shelflist: there is no model no-such-version\n")
        assert run_command("songs", "activate", version, **places).returncode == 0
        second = server.http.post(PREDICT, files=files, headers=CREDENTIALS, params={"dry_run": "true"}).json()
        assert (second["model_version"], second["dry_run"]) == (version, True)

        environment = environment_with(**places)
        worker = subprocess.Popen([sys.executable, "-m", "shelflist", "worker"], env=environment)
        try:
            told = run_command("songs", "rescore", **places)
            assert told.returncode == 0, told.stderr
            assert told.stdout.splitlines()[-1].startswith(f"120 songs judged by model {version}, ")
            assert "would change" in told.stdout
            judged_by = {
                song["model_version"] for song in server.http.get("/songs", headers=CREDENTIALS).json()["songs"]
            }
            assert judged_by == {first["model_version"]}
            applied = run_command("songs", "rescore", "--apply", **places)
            assert applied.returncode == 0, applied.stderr
        finally:
            worker.terminate()
            worker.wait()
        judged_by = {song["model_version"] for song in server.http.get("/songs", headers=CREDENTIALS).json()["songs"]}
        assert judged_by == {version}


def test_what_cannot_be_trained_on_is_said_in_a_line(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "songs.csv").write_text("trackID,title\n1,A\n", encoding="utf-8")
    (tmp_path / "labels.csv").write_text("trackID,genre\n1,pop\n", encoding="utf-8")
    train = ("songs", "train", "--features", str(tmp_path / "songs.csv"), "--labels", str(tmp_path / "labels.csv"))
    ran = run_command(*train, DATABASE_URL=database_url, STATE_DIRECTORY=str(tmp_path))
    assert ran.returncode == 1
    assert ran.stderr.startswith("shelflist: ")
    assert "Traceback" not in ran.stderr
