"""The short way to fold Latin letters gives what the long way gives."""

import random

from shelflist.shared.folding import fold


def test_latin_letters_fold_by_themselves_as_they_do_in_company() -> None:
    letters = [chr(code) for code in range(1, 0x250)]
    # The last one takes the long way, which knows no letters by themselves.
    assert [fold(f"{letter}七") for letter in letters] == [f"{fold(letter)}七" for letter in letters]
    pick = random.Random(7)
    for _ in range(2_000):
        text = "".join(pick.choices(letters, k=12))
        assert fold(text) == fold(f"{text}七")[:-1]
