"""The words of captions: what a model answers made fit to show, and sentences made of labels."""

import re
import unicodedata
from collections.abc import Sequence

from .labels import Label

LONGEST = 100
"""Characters of a caption."""
NOTHING_SURE = "An image."

SURE, LIKELY, WORTH_NAMING = 0.5, 0.2, 0.1
"""Probabilities from which a label is named outright, with "perhaps", and beside a surer one."""

_MARKS = "*_`# "
_QUOTES = {'"': '"', "'": "'", "“": "”", "„": "“", "‘": "’", "«": "»"}
_PREAMBLE = re.compile(
    r"\A(here(['’]s| is) )?((a|the|your) )?((short|image|photo) )?caption[^:.]{0,40}:\s*", re.IGNORECASE
)
_APOLOGY = re.compile(
    r"((i['’]?m|i am|we['’]re|we are) )?(very |so )?sorry|unfortunately|as an ai\b"
    r"|(i|we) (can['’]?t|cannot|can not|won['’]?t|am unable|are unable|am not able)|(i['’]m )?(unable|not able) to",
    re.IGNORECASE,
)
_GAP = re.compile(r"\n[^\S\n]*\r?\n")
_MARKUP = re.compile(r"[{\[<]|```")
# By the sound, not the letter: "a unicycle", "a European", "an hour", "an SLR camera".
_A_BEFORE_VOWEL = re.compile(r"(uni(?![nm])|eu|ewe|one\b|once|us[aeiu]|ut[ei]|uk|ur[aeiou])", re.IGNORECASE)
_AN_BEFORE_CONSONANT = re.compile(r"(?i:hour|honou?r|honest|heir|x-ray)|[FHLMNRSX][B-DF-HJ-NP-TV-Z0-9]{0,3}\b")
# Of ImageNet's classes those that no single thing is named by.
_WITHOUT_ARTICLE = re.compile(
    r"binoculars|broccoli|carbonara|chain mail|chocolate sauce|consomme|corn|dough|eggnog|face powder|guacamole"
    r"|hair spray|hay|ice cream|lotion|mashed potato|parallel bars|perfume|rapeseed|red wine|sunglasses|sunscreen"
    r"|swimming trunks|thatch|toilet tissue|velvet|wool"
)


def caption_of(answer: str) -> str | None:
    """Return a model's answer as one line of at most LONGEST characters; None where it is no caption.

    No caption is an answer without a word, markup instead of words, and an apology for not answering. Of several
    paragraphs the first counts that does not only announce the next.
    """
    if _MARKUP.match(answer.strip()):
        return None
    paragraphs = [paragraph for paragraph in map(one_line, _GAP.split(answer)) if paragraph]
    text = next((paragraph for paragraph in paragraphs if not paragraph.endswith(":")), "")
    text = _unquoted(_PREAMBLE.sub("", _unquoted(text)))
    if _APOLOGY.match(text) or sum(map(str.isalpha, text)) < 2:
        return None
    return shortened(text)


def sentence_of(labels: Sequence[Label]) -> str:
    """Return a sentence of at most LONGEST characters about an image with these labels, in any order."""
    named = [(one_line(label.class_name.partition(",")[0].replace("_", " ")), label.score) for label in labels]
    named = sorted((pair for pair in named if pair[0] and pair[1] >= WORTH_NAMING), key=lambda pair: -pair[1])
    # Two classes of the same name are one thing to a reader.
    first, second = [*dict.fromkeys(name for name, _ in named), "", ""][:2]
    if not named or named[0][1] < LIKELY:
        return NOTHING_SURE
    if named[0][1] >= SURE:
        tail = f", perhaps {with_article(second)}" if second else ""
        return _fitting(f"A photo of {with_article(first)}{tail}.", f"A photo of {with_article(first)}.")
    tail = f" or {with_article(second)}" if second else ""
    return _fitting(f"Perhaps {with_article(first)}{tail}.", f"Perhaps {with_article(first)}.")


def with_article(name: str) -> str:
    """Return a noun with "a" or "an" as it is spoken, or without where it takes neither."""
    if _WITHOUT_ARTICLE.fullmatch(name):
        return name
    if _AN_BEFORE_CONSONANT.match(name):
        return f"an {name}"
    is_vowel = name[:1].lower() in "aeiou" and not _A_BEFORE_VOWEL.match(name)
    return f"{'an' if is_vowel else 'a'} {name}"


def one_line(text: str) -> str:
    """Return text on one line, with single spaces and without characters that are not seen."""
    spaced = "".join(" " if character.isspace() else character for character in unicodedata.normalize("NFC", text))
    seen = "".join(character for character in spaced if not unicodedata.category(character).startswith("C"))
    return " ".join(seen.split())


def shortened(text: str) -> str:
    """Return text of at most LONGEST characters: cut at a word, with an ellipsis."""
    if len(text) <= LONGEST:
        return text
    kept = text[: LONGEST - 1]
    if not text[LONGEST - 1].isspace():
        # One word without end is cut where it must be.
        kept = kept.rpartition(" ")[0] or kept
    return f"{kept.rstrip(' ,;:.!?-–—')}…"


def _unquoted(text: str) -> str:
    text = text.strip(_MARKS)
    while len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
        text = text[1:-1].strip(_MARKS)
    # One whose partner is missing; an apostrophe may be none.
    for quote, partner in _QUOTES.items():
        if quote != "'" and text.startswith(quote) and partner not in text[1:]:
            text = text[1:]
        if partner not in "'’" and text.endswith(partner) and quote not in text[:-1]:
            text = text[:-1]
    return text


def _fitting(*sentences: str) -> str:
    return next((sentence for sentence in sentences if len(sentence) <= LONGEST), None) or shortened(sentences[-1])
