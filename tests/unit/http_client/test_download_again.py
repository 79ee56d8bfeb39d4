"""Downloads that another call goes on with: what is taken of what is on the disk, and what is not."""

import json
import random
from pathlib import Path

import pytest
from tests.fixtures.downloads import LIMITS, NEW, OLD, leave_half, left, part, sidecar
from tests.fixtures.file_server import LONG_AGO, FileServer, answers, in_chunks, serves

from shelflist_http import HttpError, clear_strangers, download

pytestmark = pytest.mark.usefixtures("waits")


def test_a_later_call_goes_on(files: FileServer, target: Path) -> None:
    leave_half(files, target)
    stored = download(files.url, target, LIMITS, {"If-None-Match": '"v0"'})
    assert [(one.status, one.range, one.if_range, one.if_none_match) for one in files.requests] == [
        (206, "bytes=40000-", '"v1"', '"v0"')
    ]
    assert target.read_bytes() == OLD
    assert stored is not None
    assert stored.etag == '"v1"'


def test_a_later_call_that_finds_another_file_takes_that(files: FileServer, target: Path) -> None:
    leave_half(files, target)
    files.content, files.headers = NEW, {"ETag": '"v2"'}
    download(files.url, target, LIMITS)
    assert files.ranges == [(200, "bytes=40000-")]
    assert target.read_bytes() == NEW


def test_what_a_condition_still_holds_for_is_not_fetched_whatever_is_here(files: FileServer, target: Path) -> None:
    leave_half(files, target)
    assert download(files.url, target, LIMITS, {"If-None-Match": '"v1"'}) is None
    assert files.ranges == [(304, "bytes=40000-")]


def test_another_address_s_part_is_thrown_away(files: FileServer, target: Path) -> None:
    leave_half(files, target)
    download(f"{files.url}-2", target, LIMITS)
    assert files.ranges == [(200, None)]
    assert target.read_bytes() == OLD


@pytest.mark.parametrize(
    "altered",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"url": 1}',
        {"url": None},
        {"etag": 7},
        {"if_range": '"v1"\r\nX: y'},
        {"total": "100000"},
        {"total": True},
        {"total": -1},
        {"total": 39_999},
        {"if_range": None},
        {"more": 1},
        None,
    ],
)
def test_a_part_of_which_nothing_sound_is_known_is_thrown_away(
    files: FileServer, target: Path, altered: bytes | dict[str, object] | None
) -> None:
    leave_half(files, target)
    if altered is None:
        sidecar(target).unlink()
    elif isinstance(altered, bytes):
        sidecar(target).write_bytes(altered)
    else:
        sidecar(target).write_text(json.dumps(json.loads(sidecar(target).read_text()) | altered))
    download(files.url, target, LIMITS)
    assert files.ranges == [(200, None)]
    assert target.read_bytes() == OLD


def test_all_bytes_without_the_name_are_asked_about_and_not_fetched_again(files: FileServer, target: Path) -> None:
    leave_half(files, target)
    part(target).write_bytes(OLD)
    download(files.url, target, LIMITS)
    assert files.ranges == [(304, None)]
    assert target.read_bytes() == OLD


@pytest.mark.parametrize("headers", [{"ETag": '"v1"'}, {"ETag": 'W/"v1"'}, {"Last-Modified": LONG_AGO}])
def test_a_whole_file_that_is_still_the_same_is_taken_as_it_is(
    files: FileServer, target: Path, headers: dict[str, str]
) -> None:
    files.headers = headers
    first = download(files.url, target, LIMITS)
    inode = target.stat().st_ino
    assert download(files.url, target, LIMITS, {"If-None-Match": '"v0"'}) == first
    assert [status for status, _ in files.ranges] == [200, 304]
    assert (target.stat().st_ino, target.read_bytes()) == (inode, OLD)


def test_a_whole_file_that_is_what_the_condition_speaks_of_is_unchanged(files: FileServer, target: Path) -> None:
    stored = download(files.url, target, LIMITS)
    assert stored is not None
    assert download(files.url, target, LIMITS, stored.conditions()) is None


@pytest.mark.parametrize(("headers", "asked"), [({"ETag": '"v1"'}, '"v1"'), ({}, None)])
def test_a_whole_file_that_is_not_or_not_surely_the_same_is_fetched_anew(
    files: FileServer, target: Path, headers: dict[str, str], asked: str | None
) -> None:
    files.headers = headers
    download(files.url, target, LIMITS)
    files.content, files.headers = NEW, {"ETag": '"v2"'}
    download(files.url, target, LIMITS)
    assert (files.requests[1].status, files.requests[1].if_none_match) == (200, asked)
    assert target.read_bytes() == NEW


def test_a_whole_file_is_gone_as_soon_as_another_one_is_on_its_way(files: FileServer, target: Path) -> None:
    download(files.url, target, LIMITS)
    files.content, files.headers = NEW, {"ETag": '"v2"'}
    files.script = [serves(break_after=10), answers(404)]
    with pytest.raises(HttpError):
        download(files.url, target, LIMITS)
    assert left(target) == {"file.gz.part", "file.gz.json"}


def test_a_whole_file_of_another_length_than_announced_is_none(files: FileServer, target: Path) -> None:
    download(files.url, target, LIMITS)
    target.write_bytes(OLD[:-1])
    download(files.url, target, LIMITS)
    assert [status for status, _ in files.ranges] == [200, 200]
    assert target.read_bytes() == OLD


def test_a_file_whose_announcement_is_lost_is_none(files: FileServer, target: Path) -> None:
    target.write_bytes(OLD[:-1])
    files.script = [answers(404)]
    with pytest.raises(HttpError):
        download(files.url, target, LIMITS)
    assert left(target) == set()


def test_an_empty_file_is_a_file(files: FileServer, target: Path) -> None:
    files.content = b""
    download(files.url, target, LIMITS)
    assert target.read_bytes() == b""


def test_strangers_are_removed_and_what_can_be_used_stays(files: FileServer, target: Path) -> None:
    leave_half(files, target)
    other = target.with_name("other.gz")
    download(f"{files.url}/other", other, LIMITS)
    (target.parent / "file.gz.json.part").write_text("{")
    (target.parent / "another.gz.part").write_text("x")
    (target.parent / "folder").mkdir()
    (target.parent / "folder" / "x").write_text("x")
    (target.parent / "link").symlink_to(target.parent.parent)
    clear_strangers(target.parent, {target: files.url, other: "http://elsewhere.example/other"})
    assert left(target) - {"file.gz.json.part"} == {"file.gz.part", "file.gz.json"}
    clear_strangers(target.parent, {})
    assert left(target) == set()
    assert target.parent.parent.exists()


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_a_file_that_has_its_name_is_one_version_of_it(
    files: FileServer, target: Path, seed: int
) -> None:
    chance = random.Random(seed)
    versions = {f'"{number}"': chance.randbytes(chance.randint(1, 60_000)) for number in range(3)}

    def any_act(server: FileServer, handler: object) -> None:
        if chance.random() < 0.3:
            etag = chance.choice(list(versions))
            server.content, server.headers = versions[etag], {"ETag": etag}
        size = chance.randint(0, 30_000)
        act = chance.choice(
            [
                serves(break_after=size),
                serves(break_after=size),
                serves(break_after=size, ignores_ranges=True),
                answers(206, server.content[size:], Content_Range=f"bytes {size}-{len(server.content) - 1}/60000"),
                in_chunks(200, server.content[:size], is_whole=False, **server.headers),
                answers(503),
                answers(416),
            ]
        )
        act(server, handler)  # type: ignore[arg-type]

    files.content, files.headers = versions['"0"'], {"ETag": '"0"'}
    files.script = [any_act] * chance.randint(1, 12)
    for _ in range(10):
        try:
            stored = download(files.url, target, LIMITS)
        except HttpError:
            assert not target.exists()
        else:
            assert stored is not None
            assert target.read_bytes() == versions[stored.etag or ""]
            break
    else:
        raise AssertionError("it never came")
