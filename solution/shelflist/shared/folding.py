"""Text folded for comparison: what case- and accent-insensitive means everywhere in Shelflist."""

import re
import unicodedata

FOLDED_LENGTH = 500
"""Characters kept of a folded text: at most 2,000 bytes, so that every key fits a btree page."""

# Letters that carry their stroke or ligature in themselves, so that no decomposition removes it.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"}
)
# Only the marks of Latin, Greek and Cyrillic: in kana, Hangul or Devanagari a mark is another letter.
_MARKS = re.compile("[\u0300-\u036f]")


def fold(text: str) -> str:
    """Return `text` without case, accents and compatibility forms, at most FOLDED_LENGTH characters.

    Two texts that a reader takes for the same word fold to the same string ("Éowyn", "eowyn"); folding
    is idempotent. Decomposition and recomposition after Unicode Standard Annex 15.
    """
    if text.isascii():
        return text.lower()[:FOLDED_LENGTH]
    if max(text) < _BEYOND_LATIN:
        return text.translate(_LATIN)[:FOLDED_LENGTH]
    return _fold(text)[:FOLDED_LENGTH]


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    bare = _MARKS.sub("", unicodedata.normalize("NFKD", decomposed)).translate(_LETTERS)
    return unicodedata.normalize("NFKC", bare)


# Among Latin letters no mark stands by itself, so each folds for itself: a table does in one pass what takes five.
_BEYOND_LATIN = "\u0250"
_LATIN = {code: _fold(chr(code)) for code in range(ord(_BEYOND_LATIN))}
