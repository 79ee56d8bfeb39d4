"""Sees that all servers answer the same: every workload's answers are compared with ours before any is measured."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from .servers import Server
from .workloads import Request, Workload

SAMPLE = 25
CHANGING = ("id", "created_at", "updated_at")
"""The fields of a movie that is made which no two servers can answer alike."""


@dataclass(frozen=True)
class Answers:
    """What a server answers to a sample of every workload: JSON without what may differ, and the bytes before that."""

    values: Mapping[str, Sequence[Any]]
    texts: Mapping[str, Sequence[bytes]]


def ask(server: Server, client: httpx.Client, workloads: Sequence[Workload]) -> Answers:
    """Return the server's answers to the sample; raises SystemExit where one has another status than it must have."""
    values: dict[str, list[Any]] = {}
    texts: dict[str, list[bytes]] = {}
    for workload in workloads:
        requests = workload.requests(server, client)[:SAMPLE]
        responses = [_send(server, client, request, workload.status) for request in requests]
        if workload.status == 200:
            following = [_next_page(request, response) for request, response in zip(requests, responses, strict=True)]
            responses += [_send(server, client, request, 200) for request in following if request]
        values[workload.name] = [_comparable(client, response) for response in responses]
        if workload.status == 200:
            texts[workload.name] = [response.content.partition(b',"next_cursor"')[0] for response in responses]
    return Answers(values, texts)


def compare(server: Server, answers: Answers, ours: Answers) -> bool:
    """Return whether even the bytes are equal; raises SystemExit where an answer says something else."""
    for name, values in answers.values.items():
        if not values:
            continue
        expected = ours.values[name]
        for number, (found, wanted) in enumerate(zip(values, expected, strict=False)):
            if found != wanted:
                raise SystemExit(f"{server.name} answers to {name}, {number}:\n{found}\nand not, as ours:\n{wanted}")
        if len(values) != len(expected):
            raise SystemExit(f"{server.name} has {len(values)} pages of {name} where ours has {len(expected)}")
    return all(answers.texts[name] == ours.texts[name] for name in answers.texts if answers.texts[name])


def _send(server: Server, client: httpx.Client, request: Request, status: int) -> httpx.Response:
    response = client.request(request.method, request.target, headers=request.headers, content=request.body or None)
    if response.status_code != status:
        raise SystemExit(f"{server.name}: {request.method} {request.target}: {response.status_code} {response.text}")
    return response


def _next_page(request: Request, response: httpx.Response) -> Request | None:
    cursor = response.json().get("next_cursor")
    if cursor is None:
        return None
    parts = urlsplit(request.target)
    given = [pair for pair in parse_qsl(parts.query) if pair[0] != "cursor"]
    return Request(f"{parts.path}?{urlencode([*given, ('cursor', cursor)])}")


def _comparable(client: httpx.Client, response: httpx.Response) -> Any:
    if response.status_code == 304:
        return response.content.decode()
    value = json.loads(response.content)
    if "movies" in value:
        return {**value, "next_cursor": value["next_cursor"] is not None}
    if response.status_code == 201:
        stored = client.get(response.headers["location"]).json()
        if stored != value:
            raise SystemExit(f"a movie was made as {value} and is read as {stored}")
        return {name: None if name in CHANGING else field for name, field in value.items()}
    return value
