"""Asks one server over a few connections as fast as it answers; a process of its own, driven over stdin and stdout.

Reads one line of JSON: port, connections, the server's workers, warm_up and seconds, the status that every answer must
have, and the requests as bytes ready to be sent, which are taken in turn. Warms up, writes "warm", waits for a line,
measures, and writes what it saw as JSON. It knows just enough of HTTP to find where an answer ends, to cost far less
than any server.
"""

import asyncio
import json
import sys
import time
from typing import Any, cast

import psutil
import uvloop

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


class Load:
    """What the connections share: which request is next, until when, and what was seen."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.requests = [request.encode("latin-1") for request in job["requests"]]
        self.status = str(job["status"]).encode()
        self.has_body = job["status"] != 304
        self.next = 0
        self.end = 0.0
        self.latencies: list[float] = []
        self.bytes = 0
        self.running = 0
        self.stopped = asyncio.Event()
        self.error: str | None = None

    def fail(self, error: str) -> None:
        self.error = self.error or error
        self.stopped.set()


class Connection(asyncio.Protocol):
    """One connection that is kept; sends its next request when an answer is whole."""

    transport: asyncio.WriteTransport

    def __init__(self, load: Load) -> None:
        self.load = load
        self.head = b""
        self.rest = 0
        self.is_waiting = False
        self.started = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are not of the class that the standard library names.
        self.transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.is_waiting:
            self.load.fail(f"the server closed a connection: {exc}")

    def begin(self) -> None:
        self.load.running += 1
        self.send()

    def send(self) -> None:
        load = self.load
        number = load.next
        load.next = number + 1 if number + 1 < len(load.requests) else 0
        self.is_waiting = True
        self.started = time.perf_counter()
        self.transport.write(load.requests[number])

    def data_received(self, data: bytes) -> None:
        self.load.bytes += len(data)
        if self.rest:
            self.rest -= len(data)
        else:
            data = self.head + data
            end = data.find(HEAD_END)
            if end < 0:
                self.head = data
                return
            self.head = b""
            if data[9:12] != self.load.status:
                self.load.fail(data[:2_000].decode("latin-1"))
                return
            if self.load.has_body:
                head = data[:end].lower()
                start = head.find(LENGTH)
                if start < 0:
                    self.load.fail("an answer does not tell its length")
                    return
                length = int(head[start + len(LENGTH) :].split(b"\r", 1)[0])
                self.rest = length - (len(data) - end - len(HEAD_END))
        if self.rest == 0:
            self.answered()

    def answered(self) -> None:
        now = time.perf_counter()
        load = self.load
        load.latencies.append(now - self.started)
        self.is_waiting = False
        if now < load.end:
            self.send()
            return
        load.running -= 1
        if load.running == 0:
            load.stopped.set()


async def run(load: Load, connections: list[Connection], seconds: float) -> float:
    """Keep the connections busy for so long; return how long it took until the last answer."""
    load.stopped.clear()
    load.latencies, load.bytes = [], 0
    started = time.perf_counter()
    load.end = started + seconds
    for connection in connections:
        connection.begin()
    await asyncio.wait_for(load.stopped.wait(), seconds + 60)
    if load.error is not None:
        raise SystemExit(load.error)
    return time.perf_counter() - started


async def connect(load: Load, job: dict[str, Any]) -> list[Connection]:
    """Open the connections, the same number to each of the server's workers.

    Which worker takes a connection is chance; 12 to one and 4 to the other would be measured as a slower server.
    """
    loop = asyncio.get_running_loop()
    workers = {pid: psutil.Process(pid) for pid in job["workers"]}
    share = -(-job["connections"] // len(workers))
    taken = dict.fromkeys(workers, 0)
    connections: list[Connection] = []
    for _ in range(50 * job["connections"]):
        if len(connections) == job["connections"]:
            return connections
        _, connection = await loop.create_connection(lambda: Connection(load), "127.0.0.1", job["port"])
        # Answered once: so it is with a worker.
        await run(load, [connection], 0)
        port = connection.transport.get_extra_info("sockname")[1]
        pid = next((pid for pid, worker in workers.items() if _has_connection(worker, port)), None)
        if pid is None or taken[pid] == share:
            connection.transport.close()
            continue
        taken[pid] += 1
        connections.append(connection)
    raise SystemExit(f"the connections cannot be shared out to the workers: {taken}")


def _has_connection(process: psutil.Process, port: int) -> bool:
    return any(one.raddr and one.raddr[1] == port for one in process.net_connections("tcp"))


async def measure(job: dict[str, Any]) -> dict[str, Any]:
    load = Load(job)
    connections = await connect(load, job)
    await run(load, connections, job["warm_up"])
    print("warm", flush=True)
    # Nothing else is to be done meanwhile.
    sys.stdin.readline()
    cpu = time.process_time()
    seconds = await run(load, connections, job["seconds"])
    cpu = time.process_time() - cpu
    for connection in connections:
        connection.transport.close()
    latencies = sorted(load.latencies)
    count = len(latencies)
    return {
        "count": count,
        "seconds": seconds,
        "p50": latencies[count // 2] * 1000,
        "p99": latencies[min(count - 1, int(count * 0.99))] * 1000,
        "cpu": cpu / count * 1000,
        "bytes": load.bytes / count,
    }


def main() -> None:
    job = json.loads(sys.stdin.readline())
    print(json.dumps(uvloop.run(measure(job))), flush=True)


if __name__ == "__main__":
    main()
