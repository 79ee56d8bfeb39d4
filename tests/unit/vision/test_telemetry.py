"""ONNX Runtime, as the vision service uses it, keeps nothing about this machine that it could send to its makers."""

import os
import subprocess
import sys
from pathlib import Path

# Where they are set, ONNX Runtime is quiet by itself, or writes elsewhere.
QUIETING = {"CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}


def test_the_classifier_leaves_no_id_and_no_events_in_the_home_directory(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in QUIETING}
    environment["HOME"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", "import shelflist_vision.classifier"], env=environment, check=True)
    assert list(tmp_path.rglob("*")) == []
