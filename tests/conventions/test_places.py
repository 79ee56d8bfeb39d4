"""No file that is kept speaks of the place where it was written."""

import re

from shelflist.shared.settings import PROJECT_DIRECTORY
from tests.conventions.sources import kept_files

# In parts, so that this file does not find itself.
PLACES = re.compile("|".join(("/" + "work/", r"\." + "library", "files" + r"\.pythonhosted", "pypi" + r"\.org")))


def test_no_file_names_a_path_or_a_registry_of_one_machine() -> None:
    found = []
    for path in kept_files():
        for number, line in enumerate(path.read_bytes().decode("utf-8", errors="replace").splitlines(), 1):
            place = PLACES.search(line)
            if place:
                found.append(f"{path.relative_to(PROJECT_DIRECTORY)}:{number}: {place[0]} holds on one machine only")
    assert found == []
