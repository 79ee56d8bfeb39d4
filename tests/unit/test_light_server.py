"""What every server process loads: it counts as often as there are processes, so heavy libraries stay out of it."""

import subprocess
import sys

HEAVY = {
    "alembic",
    "httpcore",
    "lightgbm",
    "numpy",
    "obstore",
    "onnxruntime",
    "openai",
    "pandas",
    "PIL",
    "polars",
    "procrastinate",
    "psycopg",
    "pyarrow",
    "pybreaker",
    "redis",
    "scipy",
    "sklearn",
    "vl_convert",
}
"""httpx itself comes with Connexion, without what it needs to call anybody."""

LOAD_ALL = """
import importlib, sys
import shelflist.serving, shelflist.web
from shelflist.specification import load_specification, operations
for _, _, operation in operations(load_specification(public_reads=True)):
    importlib.import_module(operation["x-openapi-router-controller"])
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_a_server_process_loads_no_heavy_library() -> None:
    done = subprocess.run([sys.executable, "-c", LOAD_ALL], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert {"connexion", "sqlalchemy", "shelflist"} <= loaded
    assert loaded & HEAVY == set()
