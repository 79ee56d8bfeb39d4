"""Forms in memory: their parts byte for byte, and what is no form."""

import random
from typing import Any

import httpx
import pytest

from shelflist_vision.forms import MAX_PARTS, Part, parts
from shelflist_vision.problems import InvalidRequest

TYPE = "multipart/form-data; boundary=x"


def read(body: bytes, content_type: str = TYPE) -> list[Part]:
    return list(parts(body, content_type))


def form(*given: tuple[str, bytes], boundary: bytes = b"x") -> bytes:
    """Return a form of parts, each its disposition's options and its content."""
    each = (b"\r\nContent-Disposition: form-data; " + options.encode() + b"\r\n\r\n" + data for options, data in given)
    return b"".join(b"--" + boundary + part + b"\r\n" for part in each) + b"--" + boundary + b"--\r\n"


def test_parts_come_in_order_byte_for_byte() -> None:
    content = bytes(range(256)) * 3 + b"\r\n\r\n--\r\n--y\r\n--xx\r\n--x-"
    found = read(form(('name="file"; filename="a.jpg"', content), ('name="top_k"', b"5")))
    assert found == [Part("file", True, content), Part("top_k", False, b"5")]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_a_client_writes_is_read_as_it_was(seed: int) -> None:
    pick = random.Random(seed)
    data = bytes(pick.choices(b"\r\n-x\0a", k=pick.randrange(2000)))
    request = httpx.Request("POST", "http://test/", files={"file": ("an image", data)}, data={"top_k": "3"})
    found = read(request.read(), request.headers["content-type"])
    assert sorted(found, key=lambda part: part.name) == [Part("file", True, data), Part("top_k", False, b"3")]


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\r\n\r\n", b"--", b"\r"], ids=repr)
def test_contents_that_look_like_line_ends_are_kept(content: bytes) -> None:
    assert read(form(('name="file"; filename=""', content))) == [Part("file", True, content)]


def test_a_preamble_an_epilogue_and_padding_are_passed_over() -> None:
    body = b"hello\r\n" + form(('name="a"', b"1")).replace(b"--x\r\n", b"--x \t\r\n") + b"good bye"
    assert read(body) == [Part("a", False, b"1")]


def test_a_form_may_be_empty() -> None:
    assert read(b"--x--\r\n") == []


def test_a_boundary_may_be_quoted_and_long() -> None:
    boundary = "b" * 69 + "?"
    body = form(('name="a"', b"1"), boundary=boundary.encode())
    assert read(body, f'multipart/form-data; boundary="{boundary}"') == [Part("a", False, b"1")]


@pytest.mark.parametrize("parts_there", [MAX_PARTS, MAX_PARTS + 1])
def test_there_may_be_no_more_parts_than_that(parts_there: int) -> None:
    body = form(*[(f'name="{number}"', b"1") for number in range(parts_there)])
    if parts_there > MAX_PARTS:
        with pytest.raises(InvalidRequest, match="more than 8 parts"):
            read(body)
    else:
        assert len(read(body)) == parts_there


WHOLE = form(('name="file"; filename="a"', b"content"))


@pytest.mark.parametrize("length", range(len(WHOLE) - 3))
def test_a_form_that_ends_early_is_refused(length: int) -> None:
    with pytest.raises(InvalidRequest):
        read(WHOLE[:length])


@pytest.mark.parametrize(
    "body",
    [
        b"no form",
        WHOLE.replace(b"Content-Disposition", b"Content-Other"),
        WHOLE.replace(b"name=", b"nome="),
        form(('name="file"; filename="' + "a" * 9000 + '"', b"")),
        WHOLE.replace(b"\r\n", b"\n"),
        b"\r\n--x-" * 100_000,
        b"\r\n--x\r\n" * 100_000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read(body)


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="a\u00e4"']
)
def test_a_form_without_a_boundary_is_refused(content_type: Any) -> None:
    with pytest.raises(InvalidRequest, match="boundary"):
        read(WHOLE, content_type)
