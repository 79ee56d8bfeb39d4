"""What both FastAPI peers declare: the parameters of GET /movies, the body of POST /movies, and who may call."""

import os
import re
import secrets
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import Header, HTTPException
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

Rating = Annotated[Decimal, Field(ge=0, le=10)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]

_IMDB_LINK = re.compile(r"https?://(?:www\.|m\.)?imdb\.com/title/(tt[0-9]{7,10})/?")


class MovieQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    genre: list[Name] = Field([], max_length=10)
    rating_gt: Rating | None = None
    rating_gte: Rating | None = None
    rating_lt: Rating | None = None
    rating_lte: Rating | None = None
    year_gte: int | None = Field(None, ge=0, le=9999)
    year_lte: int | None = Field(None, ge=0, le=9999)
    votes_gte: int | None = Field(None, ge=0, le=2147483647)
    sort: Literal["title", "year", "rating", "votes", "runtime"] = "title"
    desc: bool = False
    page_size: int = Field(10, ge=1, le=100)
    cursor: str | None = Field(None, min_length=1, max_length=4096)

    def filters(self) -> dict[str, int | Decimal]:
        """Return the filters that were given, `genre` aside."""
        paging = {"genre", "sort", "desc", "page_size", "cursor"}
        return {name: getattr(self, name) for name in self.model_fields_set - paging}


class NewMovie(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: Title
    original_title: Title | None = None
    year: int | None = Field(None, ge=1870, le=2100)
    runtime: int | None = Field(None, ge=1, le=100_000)
    rating: Annotated[Rating, Field(decimal_places=1)] | None = None
    votes: int | None = Field(None, ge=0, le=2147483647)
    genres: list[Name] = Field([], max_length=30)
    imdb_link: str | None = None

    @field_validator("imdb_link")
    @classmethod
    def _is_of_a_title(cls, link: str | None) -> str | None:
        if link is not None and _IMDB_LINK.fullmatch(link) is None:
            raise ValueError("must be the address of a title at IMDb")
        return link

    @property
    def imdb_id(self) -> str | None:
        match = _IMDB_LINK.fullmatch(self.imdb_link) if self.imdb_link else None
        return match[1] if match else None


def check_client(client_id: Annotated[str, Header()], client_secret: Annotated[str, Header()]) -> None:
    """Refuse whoever does not know the one client's secret; FastAPI turns the underscores into dashes."""
    is_known = secrets.compare_digest(client_id.encode(), os.environ["CLIENT_ID"].encode())
    if not (secrets.compare_digest(client_secret.encode(), os.environ["CLIENT_SECRET"].encode()) and is_known):
        raise HTTPException(401, "client-id or client-secret is wrong")
