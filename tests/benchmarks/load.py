"""Section load: hundreds of nodes on one hub, and large contributions, against bare gRPC and bare TLS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hub.client.office import Office, connect
from tests.benchmarks.figures import Figure
from tests.benchmarks.load_world import Place, Process, cpu_of, hub, peak_of, place_of
from tests.harness import free_port
from tests.support_hub import DAY

NODES = (10, 100, 300)
CELLS = 10**4
LARGE = 10**7
SENDERS = 4
#: How often large contributions are sent, and the same bytes over bare TLS.
DAYS = 15
_CLIENTS = 2
_MIB = 2**20
Say = Callable[[str], None]


@dataclass(frozen=True)
class Crowd:
    """What a number of nodes took, in seconds, and the hub in CPU seconds and MiB."""

    nodes: int
    held: float
    taken: float
    bare_held: float
    bare_taken: float
    cpu: float
    peak: float


def run(say: Say) -> list[Figure]:
    """Measure the section; `say` is told what is being done."""
    build = Path("build")
    build.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=build) as root:
        crowds = [_crowd(Path(root).resolve() / str(nodes), nodes, say) for nodes in NODES]
        return [*_growth(crowds), *_large(Path(root).resolve() / "large", say)]


@contextmanager
def _clients(place: Place, address: str, operators: Sequence[str]) -> Iterator[list[Process]]:
    """Start the nodes of some operators in a few processes; all are connected."""
    with ExitStack() as stack:
        found = [
            stack.enter_context(
                Process(
                    "-m",
                    "tests.benchmarks.load_client",
                    str(place.office.root),
                    address,
                    str(place.cells),
                    *operators[number::_CLIENTS],
                )
            )
            for number in range(min(_CLIENTS, len(operators)))
        ]
        yield found


def _all(clients: Sequence[Process], command: str) -> list[list[float]]:
    """Have every client do something at the same time; return the answers of all nodes."""
    for client in clients:
        client.tell(command)
    return [answer for client in clients for answer in client.answer()]


def _start(clients: Sequence[Process], command: str) -> None:
    for client in clients:
        client.tell(command)
    for client in clients:
        client.answer()


def _crowd(root: Path, nodes: int, say: Say) -> Crowd:
    say(f"{nodes} nodes with contributions of {CELLS:,} cells")
    root.mkdir()
    place = place_of(root, nodes, CELLS)
    bare_held, bare_taken = _bare(place)
    with hub(place) as pid, _clients(place, place.address, place.operators) as clients:
        _all(clients, "hello")
        with connect(place.office, place.address) as office:
            # The first release pays for what is loaded and worked out once.
            _release(clients, office, DAY)
            before = cpu_of(pid)
            held, taken = _release(clients, office, DAY + timedelta(days=1))
        return Crowd(nodes, held, taken, bare_held, bare_taken, cpu_of(pid) - before, peak_of(pid))


def _release(clients: Sequence[Process], office: Office, day: date) -> tuple[float, float]:
    """Return the seconds until every node holds its order, and until every contribution is taken."""
    _start(clients, "poll")
    time.sleep(1.0)
    start = time.monotonic()
    release = office.request("presence", day, day)
    held = max(_flat(_all(clients, "held"))) - start
    start = time.monotonic()
    taken = max(_flat(_all(clients, "send"))) - start
    office.wait(release, 120, lambda _seen: None)
    return held, taken


def _flat(answers: Sequence[object]) -> list[float]:
    return [float(str(answer)) for answer in answers]


def _bare(place: Place) -> tuple[float, float]:
    """Return how long the same takes with a bare gRPC server: all wake, and all send the same bytes."""
    port = free_port()
    with Process("-m", "tests.benchmarks.load_peers", "echo", str(place.office.root), str(port)) as server:
        server.answer()
        with _clients(place, f"localhost:{port}", place.operators) as clients:
            _start(clients, "wait")
            time.sleep(3.0)
            server.tell("now")
            start = server.answer()
            held = max(_flat(_all(clients, "held"))) - start
            start = time.monotonic()
            taken = max(_flat(_all(clients, "echo"))) - start
    return held, taken


def _growth(crowds: Sequence[Crowd]) -> list[Figure]:
    figures = []
    for crowd in crowds:
        figures += [
            _against_bare(f"{crowd.nodes} nodes: every node holds its order", crowd.held, crowd.bare_held),
            _against_bare(
                f"{crowd.nodes} nodes: every contribution of {CELLS:,} cells has its receipt",
                crowd.taken,
                crowd.bare_taken,
            ),
        ]
    first = crowds[0]
    for crowd in crowds[1:]:
        for what, ours, theirs, unit in (
            ("seconds until every contribution is taken", crowd.taken, first.taken, "ms"),
            ("CPU seconds of the hub for the release", crowd.cpu, first.cpu, "ms"),
        ):
            each = 1000 * ours / crowd.nodes, 1000 * theirs / first.nodes
            figures.append(
                Figure(
                    f"{crowd.nodes} nodes: {what}, by node",
                    f"{first.nodes} nodes",
                    each[0] / each[1],
                    f"{each[0]:.1f} {unit}",
                    f"{each[1]:.1f} {unit}",
                )
            )
        figures.append(
            Figure(
                f"{crowd.nodes} nodes: largest resident memory of the hub",
                f"{first.nodes} nodes",
                crowd.peak / first.peak,
                f"{crowd.peak:.0f} MiB",
                f"{first.peak:.0f} MiB",
            )
        )
    return figures


def _against_bare(what: str, ours: float, theirs: float) -> Figure:
    bare = "a bare gRPC server over the same TLS with as many clients"
    return Figure(what, bare, ours / theirs, f"{1000 * ours:.0f} ms", f"{1000 * theirs:.0f} ms")


def _large(root: Path, say: Say) -> list[Figure]:
    say(f"setting up {LARGE:,} cells")
    root.mkdir()
    # The last operator does not answer, so that the release stays open; its heartbeats are measured.
    place = place_of(root, SENDERS + 1, LARGE)
    *senders, watcher = place.operators
    with (
        hub(place) as pid,
        _clients(place, place.address, senders) as clients,
        _clients(place, place.address, [watcher]) as watchers,
    ):
        _all(clients, "hello")
        idle = _beats(watchers, lambda: time.sleep(3.0))
        for client in clients:
            client.tell("size")
        size = sum(client.answer() for client in clients)
        started = peak_of(pid)
        days = [_day(place, clients, watchers, day) for day in range(DAYS)]
        peak = peak_of(pid)
    raw = _raw(place, senders, size // SENDERS)
    puts = [day.put for day in days]
    say(f"{size / _MIB:.0f} MiB were sent in {', '.join(f'{put:.3f}' for put in puts)} s")
    rates = [size / _MIB / float(np.median(found)) for found in (puts, [day.done for day in days])]
    against = f"the same bytes over bare TLS 1.3 (ssl), {SENDERS} connections, drained"
    what = f"{SENDERS} contributions of {LARGE:,} cells sent at once, median of {DAYS} days"
    return [
        _rate(f"{what}, without their judgement (at least 0.25)", against, rates[0], raw),
        _rate("the same until all have receipts", against, rates[1], raw),
        _memory(peak, started),
        *(_latency([beat for day in days for beat in day.beats], idle, q) for q in (50, 99)),
    ]


@dataclass(frozen=True)
class _Day:
    """Seconds until all pieces of a day were put, and until all had receipts; heartbeats while they were judged."""

    put: float
    done: float
    beats: list[float]


def _day(place: Place, clients: Sequence[Process], watchers: Sequence[Process], number: int) -> _Day:
    """Send the contributions of a day: all charges are published before, and all pieces put before one is judged."""
    _hold(place, clients, DAY + timedelta(days=number))
    _all(clients, "charge")
    moments = _all(clients, "put")
    put = max(end for _began, end in moments) - min(began for began, _end in moments)
    began = time.monotonic()
    ends = list[float]()
    beats = _beats(watchers, lambda: ends.extend(_flat(_all(clients, "commit"))))
    return _Day(put, put + max(ends) - began, beats)


def _rate(what: str, against: str, ours: float, raw: float) -> Figure:
    return Figure(what, against, ours / raw, f"{ours:.0f} MiB/s", f"{raw:.0f} MiB/s")


def _hold(place: Place, clients: Sequence[Process], day: date) -> None:
    """Have a release of a day asked for, and wait until every client holds its order."""
    # The polls of before are over first: one that was given up can still be handed an order, under another lease.
    _start(clients, "poll")
    time.sleep(0.3)
    with connect(place.office, place.address) as office:
        office.request("presence", day, day)
    _all(clients, "held")


def _memory(peak: float, started: float) -> Figure:
    vector = 8 * LARGE / _MIB
    return Figure(
        f"largest memory of the hub above its start, {SENDERS} contributions of {LARGE:,} cells at once",
        "one vector of them",
        (peak - started) / vector,
        f"{peak - started:.0f} MiB",
        f"{vector:.0f} MiB",
    )


def _latency(judging: Sequence[float], idle: Sequence[float], percent: int) -> Figure:
    ours, theirs = (1000 * float(np.percentile(found, percent)) for found in (judging, idle))
    return Figure(
        f"heartbeat while {SENDERS} contributions of {LARGE:,} cells are judged, {percent} % are faster",
        "heartbeat of an idle hub",
        ours / theirs,
        f"{ours:.1f} ms of {len(judging)}",
        f"{theirs:.1f} ms of {len(idle)}",
    )


def _beats(watchers: Sequence[Process], act: Callable[[], object]) -> list[float]:
    """Return the seconds that each heartbeat took while something was done."""
    _start(watchers, "beat")
    act()
    return _flat(_all(watchers, "beats"))


def _raw(place: Place, senders: Sequence[str], size: int) -> float:
    """Return MiB a second over bare TLS, median of as many times; who sends is connected before."""
    root, port = str(place.office.root), str(free_port())
    with ExitStack() as stack:
        _peer(stack, "sink", root, port)
        sources = [
            _peer(stack, "source", root, port, str(size), *senders[number::_CLIENTS])
            for number in range(_CLIENTS)
        ]
        took = list[float]()
        for _ in range(DAYS):
            for found in sources:
                found.tell("now")
            moments = [found.answer() for found in sources]
            took.append(max(end for _start, end in moments) - min(begin for begin, _end in moments))
    return size * len(senders) / _MIB / float(np.median(took))


def _peer(stack: ExitStack, *what: str) -> Process:
    """Start a process of bare TLS and wait until it is ready."""
    found = stack.enter_context(Process("-m", "tests.benchmarks.load_peers", *what))
    found.answer()
    return found
