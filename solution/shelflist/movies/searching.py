"""The parameter `q` of movies as SQL: a part of the folded title, found by indexes whatever it is made of.

pg_trgm knows words of a-z and 0-9 by three characters in a row, all signs as the same gap, and other letters only where
the database's locale knows them. Titles with signs or other letters are in a second index, by these.
"""

import re
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from shelflist.shared.folding import fold
from shelflist.shared.searching import words_of

from .gathering import Criterion, OnTable
from .tables import HAS_SIGNS, LETTERS, movies

Condition = sa.ColumnElement[bool]

PRICE = 6
"""What finding a title costs, in entries of a btree: an index of titles has it under many."""

LONG = 20
"""From how many characters on two words say enough: each character more is another entry to look up."""

_OTHER_LETTER = re.compile("[^ -~]")
_ANY_BUT_SPACE = re.compile("[^ ]")
_SIGN = re.compile("[^a-z0-9 ]")
_WORD = re.compile("[a-z0-9]+")
_GAP = re.compile("[^a-z0-9]")
_TWO_LETTERS = re.compile("[a-z0-9]{2}")
_ENDS_A_WORD = re.compile("[a-z0-9][^a-z0-9].*", re.DOTALL)
_NEIGHBOUR = "[ -~]"


def title_contains(table: sa.FromClause, text: str) -> Condition:
    """Return whether the folded title contains the folded text, spaces included; raises InvalidRequest for no text."""
    # Refuses what holds nothing; the whole text is searched for.
    words_of(text)
    return _contains(table.c.title_key, fold(text))


def criteria_of(text: str) -> Sequence[Criterion]:
    """Return `title_contains` as criteria, such that indexes find the titles wherever these are few."""
    key = fold(text)
    signs = sorted(set((_SIGN if key.isascii() else _ANY_BUT_SPACE).findall(key)))
    criteria = [Criterion(lambda table: title_contains(table, text), is_searched=False)]
    if signs:
        criteria.append(Criterion(_holding(signs), _has_letters(signs), price=PRICE, is_hint=True))
    if _WORD.search(key) and not _OTHER_LETTER.search(key):
        criteria.append(Criterion(_holding(_known_of(key)), _has_words_of(key), price=PRICE, is_hint=True))
    return criteria


def _holding(parts: Sequence[str]) -> OnTable:
    patterns = sa.literal([f"%{_escaped(part)}%" for part in parts], ARRAY(sa.Text))
    return lambda table: table.c.title_key.like(sa.all_(patterns))


def _known_of(key: str) -> Sequence[str]:
    """Return about what pg_trgm knows of the key, or is asked of it: words, whatever is between them."""
    words = _WORD.findall(key)
    if len(key) > LONG:
        return _longest_of(words)
    return [word for word in words if len(word) > 1] or [f" {words[0]}" if _GAP.match(key) else f"{words[0]} "]


def _longest_of(words: Sequence[str]) -> Sequence[str]:
    return sorted(words, key=len)[-2:]


def _has_words_of(key: str) -> Condition:
    """Return what is true of every title that contains the key, and that pg_trgm can look up.

    Of two letters, or one that ends a word, it knows nothing; with each neighbour that they can have, it does.
    """
    title = movies.c.title_key
    if _TWO_LETTERS.fullmatch(key):
        beside = sa.or_(title.regexp_match(key + _NEIGHBOUR), title.like(f"%{_escaped(key)}"))
    elif _ENDS_A_WORD.fullmatch(key):
        beside = sa.or_(title.regexp_match(_NEIGHBOUR + re.escape(key)), title.like(f"{_escaped(key)}%"))
    elif len(key) > LONG:
        return sa.and_(*(_contains(title, word) for word in _longest_of(_WORD.findall(key))))
    else:
        return _contains(title, key)
    # A neighbour that is another letter.
    return sa.or_(beside, _has_letters(sorted(set(key) - {" "})))


def _has_letters(letters: Sequence[str]) -> Condition:
    return sa.and_(HAS_SIGNS, LETTERS.op("@>")(sa.literal(letters, ARRAY(sa.Text))))


def _contains(title: sa.ColumnElement[str], key: str) -> Condition:
    return title.like(f"%{_escaped(key)}%", escape="\\")


def _escaped(key: str) -> str:
    return key.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
