"""Captions read as English sentences of one line, from a model's answer as from labels."""

import pytest

from shelflist_vision.caption_text import LONGEST, caption_of, sentence_of, with_article
from shelflist_vision.labels import Label


@pytest.mark.parametrize(
    ("answer", "caption"),
    [
        ("A cat on a sofa.", "A cat on a sofa."),
        ('"A cat on a sofa."', "A cat on a sofa."),
        ("“A cat on a sofa.”", "A cat on a sofa."),
        ("«Eine Katze.»", "Eine Katze."),
        ("**A cat on a sofa.**", "A cat on a sofa."),
        ('Caption: "A cat on a sofa."', "A cat on a sofa."),
        ('"Image caption: A cat."', "A cat."),
        ("Here is a caption for your picture: A cat.", "A cat."),
        ("Here is a caption:\n\nA cat.\n\nLet me know!", "A cat."),
        ('"A cat\non a sofa."', "A cat on a sofa."),
        ('"A cat on a sofa.', "A cat on a sofa."),
        ("A cat on a sofa.”", "A cat on a sofa."),
        ("A\tcat\x07 on\u200b a\u202e sofa.\x00", "A cat on a sofa."),
        ("\n  A  cat \r\n", "A cat"),
        ("A poster with the caption: Hello", "A poster with the caption: Hello"),
        ('A sign that says "Open".', 'A sign that says "Open".'),
        ('"Open" and "Closed"', '"Open" and "Closed"'),
        ("Cafe\u0301", "Café"),
        ("猫がいる", "猫がいる"),
    ],
)
def test_an_answer_becomes_one_plain_line(answer: str, caption: str) -> None:
    assert caption_of(answer) == caption


@pytest.mark.parametrize(
    "answer",
    [
        "",
        " \n\t",
        "...",
        '""',
        "42!",
        "\x00\x01",
        "Caption:",
        "I'm sorry, but I can't help with that.",
        "I’m sorry, I can’t assist with this picture.",
        "Sorry, I cannot describe people.",
        "I cannot help with identifying anyone.",
        "I am unable to see pictures.",
        "I'm not able to see the image.",
        "Unable to process the image.",
        "As an AI language model, I see nothing.",
        "Unfortunately, no picture was attached.",
        '{"caption": "A cat"}',
        "<html><body>Bad gateway</body></html>",
        "[object Object]",
        "```json\n[1]\n```",
    ],
)
def test_what_is_no_caption_is_none(answer: str) -> None:
    assert caption_of(answer) is None


def test_a_long_answer_is_cut_at_a_word() -> None:
    answer = "A grey cat sleeps on a red sofa beside the window, while rain runs down the glass and a clock shows noon."
    caption = caption_of(answer)
    assert (
        caption
        == "A grey cat sleeps on a red sofa beside the window, while rain runs down the glass and a clock shows…"
    )
    assert len(caption) == LONGEST
    assert caption_of("word " * 18 + "and comma, " * 2) == "word " * 18 + "and…"
    assert caption_of("a" * 150) == "a" * 99 + "…"
    assert caption_of("b" * 100) == "b" * 100


def labels(**scores: float) -> list[Label]:
    return [Label(name.replace("_", " "), score) for name, score in scores.items()]


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        (labels(espresso=0.94, cup=0.03), "A photo of an espresso."),
        (labels(espresso=0.7, cup=0.2), "A photo of an espresso, perhaps a cup."),
        (labels(cup=0.2, espresso=0.7), "A photo of an espresso, perhaps a cup."),
        (labels(tabby=0.45, Egyptian_cat=0.3, tiger_cat=0.2), "Perhaps a tabby or an Egyptian cat."),
        (labels(palace=0.3), "Perhaps a palace."),
        (labels(palace=0.1, castle=0.1), "An image."),
        (labels(palace=float("nan")), "An image."),
        ([], "An image."),
        ([Label("tench, Tinca tinca", 0.9)], "A photo of a tench."),
        ([Label("crane", 0.4), Label("crane", 0.3), Label("dam", 0.15)], "Perhaps a crane or a dam."),
        ([Label("ice\ncream\x00", 0.9)], "A photo of ice cream."),
        ([Label("", 0.9)], "An image."),
        ([Label("street_sign", 0.9)], "A photo of a street sign."),
    ],
)
def test_labels_become_a_sentence(seen: list[Label], sentence: str) -> None:
    assert sentence_of(seen) == sentence


def test_long_names_leave_a_sentence_of_the_same_length() -> None:
    long = "soft-coated wheaten terrier of a kind that has a very long name"
    assert sentence_of([Label(long, 0.6), Label("dog of another very long name", 0.3)]) == f"A photo of a {long}."
    sentence = sentence_of([Label("very " * 60 + "long", 0.9)])
    assert len(sentence) <= LONGEST
    assert sentence.endswith("very…")


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("apple", "an apple"),
        ("banana", "a banana"),
        ("hourglass", "an hourglass"),
        ("house finch", "a house finch"),
        ("unicycle", "a unicycle"),
        ("umbrella", "an umbrella"),
        ("uninvited guest", "an uninvited guest"),
        ("European gallinule", "a European gallinule"),
        ("Old English sheepdog", "an Old English sheepdog"),
        ("ox", "an ox"),
        ("iPod", "an iPod"),
        ("SLR camera", "an SLR camera"),
        ("CD player", "a CD player"),
        ("T-shirt", "a T-shirt"),
        ("Model T", "a Model T"),
        ("Siamese cat", "a Siamese cat"),
        ("yurt", "a yurt"),
        ("usher", "an usher"),
        ("sunglasses", "sunglasses"),
        ("velvet", "velvet"),
    ],
)
def test_articles_follow_the_sound(name: str, spoken: str) -> None:
    assert with_article(name) == spoken
