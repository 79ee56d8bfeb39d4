"""The parameter `q` of movies as SQL: a part of the folded title, found by indexes whatever it is made of.

pg_trgm knows words of a-z and 0-9 by three characters in a row, all signs as the same gap, and other letters only where
the database's locale knows them. Titles with signs or other letters are in a second index, by these.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from shelflist.shared.folding import fold
from shelflist.shared.searching import words_of
from shelflist.shared.texts import parameter

from .gathering import Criterion
from .tables import HAS_SIGNS, LETTERS, movies

Condition = sa.ColumnElement[bool]

PRICE = 6
"""What finding a title costs, in entries of a btree: an index of titles has it under many."""

PRICE_OF_PAIR = 40
"""What finding a title by two letters costs: whatever is found is compared with a regular expression."""

MOST_PARTS = 3
"""Words of a text that may be looked up: the longest, each by itself, for some may be too common to be worth it."""
MOST_KNOWN_ALONE = 3
"""Letters of a word that are to be looked up with the gaps beside it."""
LONGEST_PART = 20
"""Characters of a word that are looked up: each is another entry."""

_OTHER_LETTER = re.compile("[^ -~]")
_ANY_BUT_SPACE = re.compile("[^ ]")
_SIGN = re.compile("[^a-z0-9 ]")
_WORD = re.compile("[a-z0-9]+")
_GAP = re.compile("[^a-z0-9]")
_LONG_WORD = re.compile("[a-z0-9]{3}")
_TWO_LETTERS = re.compile("[a-z0-9]{2}")
_ENDS_A_WORD = re.compile("[a-z0-9][^a-z0-9].*", re.DOTALL)
_SINGLE_WORD = re.compile(f"[a-z0-9]{{3,{LONGEST_PART}}}")
_NEIGHBOUR = "[ -~]"

_WHOLE = "whole"
"""The name of a text that is a word, which is looked up as it is."""


def title_contains(table: sa.FromClause, text: str | sa.ColumnElement[str]) -> Condition:
    """Return whether the folded title contains the folded text, or is like a pattern that is a parameter.

    Raises InvalidRequest for no text.
    """
    pattern = text if isinstance(text, sa.ColumnElement) else pattern_of(text)
    return table.c.title_key.like(pattern, escape="\\")


def pattern_of(text: str) -> str:
    """Return the pattern of titles whose folded form contains the folded text, spaces included.

    Raises InvalidRequest for no text.
    """
    # Refuses what holds nothing; the whole text is searched for.
    words_of(text)
    return _containing(fold(text))


@dataclass(frozen=True)
class Traits:
    """What indexes can know of a text: the names tell the conditions apart, the values are their parameters."""

    names: tuple[str, ...]
    values: Mapping[str, Any]


NO_TRAITS = Traits((), {})


def traits_of(text: str) -> Traits:
    """Return what indexes can look a text up by, for `criteria_of`."""
    key = fold(text)
    names: list[str] = []
    values: dict[str, Any] = {"q": pattern_of(text)}
    signs = sorted(set((_SIGN if key.isascii() else _ANY_BUT_SPACE).findall(key)))
    if signs:
        names.append("signs")
        values |= {"signs": signs, "signs_held": [_containing(sign) for sign in signs]}
    if _WORD.search(key) and not _OTHER_LETTER.search(key):
        for name, of_words in _words_of(key):
            names.append(name)
            values |= of_words
    return Traits(tuple(names), values)


def criteria_of(names: Sequence[str]) -> Sequence[Criterion]:
    """Return `title_contains` as criteria, such that indexes find the titles wherever these are few."""
    # Beside the condition on signs, the planner takes the index of titles for useless unless it knows the text.
    is_found = _is_like if "signs" in names else _is_found
    whole, is_whole = is_found(movies, "q"), _WHOLE in names
    criteria = [Criterion(partial(_is_like, name="q"), whole, price=PRICE, is_searched=is_whole, kind="title")]
    for name in names:
        if name == _WHOLE:
            continue
        by_index = _BY_INDEX[name]() if name in _BY_INDEX else is_found(movies, name)
        price = PRICE_OF_PAIR if name == "pair" else PRICE
        criteria.append(Criterion(partial(_holds, name=f"{name}_held"), by_index, price=price, is_hint=True))
    return criteria


def _words_of(key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield how pg_trgm can look up what is true of every title that contains the key, and the values for that.

    Of two letters, or one that ends a word, it knows nothing; with each neighbour that they can have, it does.
    """
    letters = sorted(set(key) - {" "})
    if _SINGLE_WORD.fullmatch(key):
        yield _WHOLE, {}
    elif _LONG_WORD.search(key):
        for number, (part, held) in enumerate(_parts_of(key)):
            yield f"part_{number}", {f"part_{number}": _containing(part), f"part_{number}_held": [_containing(held)]}
    elif _TWO_LETTERS.fullmatch(key):
        beside, at_edge = key + _NEIGHBOUR, f"%{_escaped(key)}"
        yield "pair", {"beside": beside, "at_edge": at_edge, "letters": letters, "pair_held": [_containing(key)]}
    elif _ENDS_A_WORD.fullmatch(key):
        beside, at_edge = _NEIGHBOUR + re.escape(key), f"{_escaped(key)}%"
        yield "pair", {"beside": beside, "at_edge": at_edge, "letters": letters, "pair_held": _held_of(key)}
    else:
        yield "q", {"q_held": _held_of(key)}


def _parts_of(key: str) -> Iterator[tuple[str, str]]:
    """Yield parts of the key that hold a word each, and about what pg_trgm knows of it: all signs are the same gap."""
    for word in sorted(_WORD.finditer(key), key=lambda word: word.start() - word.end())[:MOST_PARTS]:
        if len(word[0]) > MOST_KNOWN_ALONE:
            yield word[0][:LONGEST_PART], word[0][:LONGEST_PART]
            continue
        # The gaps beside it are what little there is to know of a short word.
        part = key[max(word.start() - 1, 0) : word.end() + 1]
        if len(part) > 2:
            yield part, word[0] if _SIGN.search(part) else part


def _held_of(key: str) -> Sequence[str]:
    """Return about what pg_trgm knows of a key of short words, whatever is between them."""
    words = _WORD.findall(key)
    known = [word for word in words if len(word) > 1] or [f" {words[0]}" if _GAP.match(key) else f"{words[0]} "]
    return [_containing(part) for part in known]


def _has_signs() -> Condition:
    return _has_letters("signs")


def _has_pair() -> Condition:
    title = movies.c.title_key
    beside = title.regexp_match(_unknown(parameter("beside", sa.Text)))
    at_edge = title.like(_unknown(parameter("at_edge", sa.Text)))
    # The last is a neighbour that is another letter.
    return sa.or_(beside, at_edge, _has_letters("letters"))


_BY_INDEX: Mapping[str, Callable[[], Condition]] = {"signs": _has_signs, "pair": _has_pair}


def _is_like(table: sa.FromClause, name: str) -> Condition:
    return title_contains(table, parameter(name, sa.Text))


def _is_found(table: sa.FromClause, name: str) -> Condition:
    """Return `_is_like` for an index."""
    return title_contains(table, _unknown(parameter(name, sa.Text)))


def _unknown(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    # What the planner can look up it takes for so rare that it leaves out whichever index is to be asked besides.
    return sa.select(value).scalar_subquery()


def _holds(table: sa.FromClause, name: str) -> Condition:
    return table.c.title_key.like(sa.all_(parameter(name, ARRAY(sa.Text))))


def _has_letters(name: str) -> Condition:
    return sa.and_(HAS_SIGNS, LETTERS.op("@>")(_unknown(parameter(name, ARRAY(sa.Text)))))


def _containing(key: str) -> str:
    return f"%{_escaped(key)}%"


def _escaped(key: str) -> str:
    return key.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
