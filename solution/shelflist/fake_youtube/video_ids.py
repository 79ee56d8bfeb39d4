"""Eleven-character ids that hold their video's place in the world, so that an id alone finds it again."""

import base64
import hashlib
import re
from dataclasses import dataclass

# 24 bits of stream, 24 of bucket and 16 of index are the 64 bits that eleven characters hold.
BUCKET_LIMIT = 1 << 24
INDEX_LIMIT = 1 << 16
_HALF = 0xFFFF_FFFF
_ROUNDS = 4
_ID = re.compile(r"[A-Za-z0-9_-]{11}")


@dataclass(frozen=True)
class Place:
    """Where a video of the stream is: the number of its stream, its bucket since 1970, its index in the bucket."""

    stream: int
    bucket: int
    index: int


class IdCode:
    """A reversible scrambling of places into ids (a Feistel network), another for each seed."""

    def __init__(self, seed: int) -> None:
        self._seed = str(seed).encode()

    def video_id(self, place: Place) -> str:
        """Return the id of the video at the place."""
        number = (place.stream << 40) | (place.bucket % BUCKET_LIMIT << 16) | place.index
        left, right = number >> 32, number & _HALF
        for turn in range(_ROUNDS):
            left, right = right, left ^ self._mixed(turn, right)
        return base64.urlsafe_b64encode((left << 32 | right).to_bytes(8, "big")).rstrip(b"=").decode()

    def place(self, video_id: str) -> Place | None:
        """Return the place that an id holds, None where it cannot be one of ours."""
        if not _ID.fullmatch(video_id):
            return None
        scrambled = int.from_bytes(base64.urlsafe_b64decode(f"{video_id}="), "big")
        left, right = scrambled >> 32, scrambled & _HALF
        for turn in reversed(range(_ROUNDS)):
            left, right = right ^ self._mixed(turn, left), left
        number = left << 32 | right
        return Place(number >> 40, (number >> 16) % BUCKET_LIMIT, number % INDEX_LIMIT)

    def _mixed(self, turn: int, half: int) -> int:
        data = bytes([turn]) + half.to_bytes(4, "big")
        return int.from_bytes(hashlib.blake2b(data, key=self._seed, digest_size=4).digest(), "big")
