"""Titles, descriptions and channels of made-up videos: several scripts, and the characters that markup escapes."""

from collections.abc import Callable, Sequence

_SUBJECTS = (
    "Monsoon update",
    "Street food tour",
    "Rock & roll lesson",
    'The "impossible" goal',
    "It's launch day",
    "Q&A with the crew",
    "Night train, first class",
    "100 days of code",
    "अब तक की सबसे बड़ी खबर",
    "चाय बनाने का सही तरीका",
    "今日のニュース",
    "猫のいる暮らし",
    "오늘의 브이로그",
    "新闻大白话",
    "Обзор матча",
    "أخبار اليوم",
    "פרק חדש",
    "Récap' de l'été",
    "Đường phố Sài Gòn",
    "Müller's Werkstatt",
)
_SUFFIXES = (
    "",
    "",
    " | Live",
    " - Part 2",
    " 🔥",
    " (Official Video)",
    " #shorts",
    " & more",
    ' "uncut"',
    " — what's next?",
    "！！",
    " [4K]",
)
_SENTENCES = (
    "Thanks for watching & don't forget to subscribe.",
    "Follow us on https://example.com/news?a=1&b=2 for updates.",
    'She said "never again", and then it happened.',
    "Chapters: 0:00 intro, 1:24 the reason, 7:03 what comes next.",
    "इस वीडियो में हम आपको पूरी कहानी बताएंगे।",
    "チャンネル登録をお願いします。",
    "구독과 좋아요 부탁드립니다.",
    "欢迎订阅我们的频道，每天更新。",
    "Подписывайтесь на канал, чтобы ничего не пропустить.",
    "اشترك في القناة وفعل زر الجرس.",
)
_CHANNELS = (
    "Harbour News",
    "Tom & Ada's Kitchen",
    "आज की बात",
    "テレ丸BIZ",
    "하루 브이로그",
    "Спорт 24",
    "قناة الصباح",
    "O'Neill Outdoors",
    "大白話",
    '"The" Quiz Hour',
    "Studio Nord",
    "Canal Soleil",
)
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
CHANNELS = 5 * len(_CHANNELS)

# Draws are functions that return a number from 0 up to 1.
Draw = Callable[[], float]


def pick(draw: Draw, values: Sequence[str]) -> str:
    """Return one of the values, all equally likely."""
    return values[int(draw() * len(values))]


def draw_title(draw: Draw) -> str:
    """Return a title of at most 100 characters, as YouTube allows; some hold &, ' or double quotes."""
    number = f" {int(draw() * 900) + 100}" if draw() < 0.5 else ""
    return f"{pick(draw, _SUBJECTS)}{number}{pick(draw, _SUFFIXES)}"


def draw_description(draw: Draw) -> str:
    """Return a description of none to six sentences on lines of their own."""
    return "\n".join(pick(draw, _SENTENCES) for _ in range(int(draw() * 7)))


def channel(number: int) -> tuple[str, str]:
    """Return the id (UC and 22 characters) and the title of channel `number`, counted from 0."""
    number %= CHANNELS
    digits = "".join(_ALPHABET[(number * 37 + place * place * 11 + place * number) % 64] for place in range(22))
    name = _CHANNELS[number % len(_CHANNELS)]
    return f"UC{digits}", name if number < len(_CHANNELS) else f"{name} {number // len(_CHANNELS) + 1}"


def shortened(description: str, length: int = 120) -> str:
    """Return a description as the search shows it: one line, cut at a word, with an ellipsis of three points."""
    line = " ".join(description.split())
    return line if len(line) <= length else f"{line[:length].rpartition(' ')[0] or line[:length]} ..."


def escaped(text: str) -> str:
    """Return a title as the search of the YouTube Data API gives it, with the entities of HTML."""
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("'", "&#39;")
