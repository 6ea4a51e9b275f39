"""The node daemon: build presence, then wait for orders, answer them and upload what was committed."""

from __future__ import annotations

import hashlib
import logging
import math
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from node.building import cleaner_of
from node.config import Home
from node.engine import connect
from node.enrolment import Agreement, keeper_of, load, secret_of
from node.jobs import BuildJob, run
from node.ledgers import require_sound, today
from node.release.policy import Refusal
from node.release.releasing import Releasing
from node.statistics.registry import algorithms
from node.uplink import Stopped, Uplink
from privacy.errors import QuorateError, UsageProblem, place_of
from privacy.ledger import Ledger
from privacy.ledger.caps import above_caps
from privacy.ledger.files import require_one_name
from privacy.ledger.request import Seam, no_seam
from quorate.contract.calendar import days_between
from quorate.contract.identity import write_private
from quorate.contract.order import Receipt, TaskOrder
from quorate.contract.transport import open_channel
from quorate.v1 import federation_pb2 as pb

log = logging.getLogger("quorate.node")
POLL_SECONDS = 20


def offered_days(own: Agreement) -> tuple[date, ...]:
    """Return the days for which the operator declares to have data."""
    source = own.config.source
    return tuple(
        day
        for day in days_between(source.first_day, source.last_day)
        if day not in own.policy.unavailable_days
    )


def ingest(home: Home, own: Agreement, progress: Callable[[str], None]) -> tuple[date, ...]:
    """Build presence of every offered day in the worker process and return the days.

    Raises
    ------
    DataProblem
        If a day cannot be used.
    """
    days = offered_days(own)
    run(BuildJob(home=home.root.resolve(), charter=own.charter_digest, days=days), progress)
    return days


def open_ledger(home: Home, own: Agreement, seam: Seam = no_seam) -> Ledger:
    """Open the node's ledger for writing, with the operator's key and witness."""
    keeper = keeper_of(home, own.config)
    return Ledger(home.ledger, own.ledger_identity, own.budgets, keeper=keeper, seam=seam)


class Daemon:
    """One node at work.

    Parameters
    ----------
    home
        The node's directory.
    hub
        host:port, or None for the address in node.toml.
    patience
        Seconds to wait for the first answer of the hub; later the node waits as long as it takes.
    seam
        Called with the name of each point that tests make fail.
    """

    def __init__(self, home: Home, hub: str | None, patience: float, *, seam: Seam = no_seam) -> None:
        self._home, self._seam, self._patience = home, seam, patience
        self._own = load(home)
        self._address = hub or self._own.config.hub
        self._stop = threading.Event()

    def run(self) -> None:
        """Work until SIGTERM (returns) or SIGINT (KeyboardInterrupt).

        Raises
        ------
        QuorateError
            If the data cannot be used, the ledger cannot be opened, or the hub does not know this operator.
        """
        own, home = self._own, self._home
        signal.signal(signal.SIGTERM, _stop)
        require_sound(home, own)
        if home.ledger.exists() and (warning := above_caps(home.ledger, own.budgets)):
            log.warning("%s", warning)
        try:
            with closing(open_ledger(home, own, self._seam)) as ledger:
                days = ingest(home, own, lambda day: log.info("building presence of %s", day))
                log.info("presence of %d day(s) is ready", len(days))
                with open_channel(self._address, home.hub_root, home.key, home.certificate) as channel:
                    self._work(Uplink(channel, self._address, self._stop, log.warning), ledger)
        except Stopped:
            log.info("stopped")

    def _work(self, uplink: Uplink, ledger: Ledger) -> None:
        signal.signal(signal.SIGTERM, lambda *_: uplink.cancel())
        releasing = Releasing(
            self._home.root.resolve(), self._own, algorithms(), ledger, partial(today, self._own)
        )
        self._greet(uplink, ledger)
        for path in sorted(self._home.receipts.glob("*.order")):
            self._claim(path, uplink, releasing)
        while True:
            self._serve_one(uplink, releasing)

    def _greet(self, uplink: Uplink, ledger: Ledger) -> None:
        answer = uplink.hello(version("quorate"), ledger.head, self._patience)
        if answer.charter_digest.hex() != self._own.charter_digest:
            raise UsageProblem(
                f"the hub works under version {answer.charter_version} of the charter of {answer.network}, "
                "which is not the one that was pinned here",
                means="no order would be agreed to",
                todo="get the charter from the hub operator, read it, and run quorate-node enrol again",
            )
        log.info("connected to the hub of %s at %s", answer.network, self._address)

    def _serve_one(self, uplink: Uplink, releasing: Releasing) -> None:
        """Wait for an order and answer it; whatever is wrong with it does not end the daemon."""
        try:
            payload = uplink.next_order(POLL_SECONDS)
        except QuorateError as error:
            log.error("%s; trying again in %d s", error, POLL_SECONDS)
            self._wait_for_tick(time.monotonic(), POLL_SECONDS)
            return
        if payload is None:
            return
        came = time.monotonic()
        try:
            self._answer(payload, uplink, releasing, came)
        except Stopped:
            raise
        except QuorateError as error:
            # The order stays open at the hub and comes again; whatever was committed is sent then.
            log.error("%s; trying again", error)
            self._wait_for_tick(came, POLL_SECONDS)
        except Exception as error:  # noqa: BLE001 - no order may end the daemon; the text may quote data
            log.error("a defect of Quorate: %s", place_of(error))
            self._wait_for_tick(came, POLL_SECONDS)

    def _answer(self, payload: bytes, uplink: Uplink, releasing: Releasing, came: float) -> None:
        order_digest = hashlib.sha256(payload).digest()
        try:
            order = TaskOrder.from_wire(payload, "the task order")
            log.info("order for %s of %s", order.terms.product, order.terms.first_day)
            recorded = releasing.answer(order, lambda phase: log.info("%s", phase))
        except Refusal as refusal:
            log.warning("refused: %s", refusal)
            self._wait_for_tick(came)
            uplink.refuse(order_digest, refusal.reason)
            return
        except UsageProblem as error:
            log.warning("refused: %s", error)
            self._wait_for_tick(came)
            uplink.refuse(order_digest, pb.REFUSAL_REASON_CHARTER_MISMATCH)
            return
        self._seam("before upload")
        self._wait_for_tick(came)
        self._keep(payload, f"{order_digest.hex()}.order")
        receipt = uplink.upload(order_digest, recorded)
        self._seam("before receipt")
        self._keep_receipt(receipt)
        log.info("delivered %s, ledger entry %d", order.terms.product, receipt.ledger_sequence)

    def _wait_for_tick(self, came: float, at_least: float = 0.0) -> None:
        """Wait for a multiple of the policy's tick since an order came, so that no answer tells how long it took."""
        tick = self._own.policy.answer_tick_seconds
        elapsed = time.monotonic() - came
        until = math.ceil(max(elapsed, at_least) / tick) * tick
        if self._stop.wait(until - elapsed):
            raise Stopped

    def _claim(self, order: Path, uplink: Uplink, releasing: Releasing) -> None:
        """Get the receipt of an order that was being delivered when the node stopped.

        The hub does not hand out an order again that it holds the contribution of.
        """
        payload = order.read_bytes()
        try:
            found = TaskOrder.from_wire(payload, str(order))
            recorded = releasing.ledger.find(found.terms, found.nonce)
            if recorded is not None:
                self._keep_receipt(uplink.commit(hashlib.sha256(payload).digest(), recorded))
        except QuorateError as error:
            # Its pieces are not all at the hub, most likely; then the order comes again.
            log.info("%s is not delivered yet: %s", order.stem, error)

    def _keep_receipt(self, receipt: Receipt) -> None:
        """Keep a receipt; after that nothing of its order is open."""
        self._keep(receipt.to_bytes(), f"{receipt.order}.json")
        (self._home.receipts / f"{receipt.order}.order").unlink(missing_ok=True)

    def _keep(self, document: bytes, name: str) -> None:
        self._home.receipts.mkdir(mode=0o700, exist_ok=True)
        path = self._home.receipts / name
        if not path.exists():
            fresh = path.with_name(f".{name}")
            fresh.unlink(missing_ok=True)
            write_private(fresh, document)
            fresh.replace(path)


def _stop(*_signal: object) -> NoReturn:
    raise Stopped


def check(home: Home, own: Agreement) -> list[str]:
    """Check what a daemon needs before it starts; return what was found to be in order.

    Raises
    ------
    QuorateError
        The first thing that is not.
    """
    _require_data(home, own)
    approved = {product.statistic: product.algorithm for product in own.charter.products}
    installed = algorithms()
    for statistic, digest in approved.items():
        if installed.get(statistic) != digest:
            raise UsageProblem(
                f"the installed code of {statistic} is not the code that the charter approved",
                means="orders for it would be refused",
                todo="install the version that the charter was made for, or have the charter amended",
            )
    secret_of(home)
    require_one_name(home.ledger)
    entries = require_sound(home, own)
    return [
        "charter, zoning, policy and certificate are the enrolled ones",
        f"{len(offered_days(own))} day(s) of events and the cell table are readable",
        f"{len(approved)} algorithm(s) are the approved ones",
        f"the ledger and its witness hold, with {entries} entries",
    ]


def _require_data(home: Home, own: Agreement) -> None:
    """Refuse a register that cannot be used, and days that are missing or do not fit the mapping."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        connect(own.config.engine, Path(scratch)) as db,
    ):
        cleaner = cleaner_of(home, own, Path(scratch))
        cleaner.register(db, own.zoning.codes)
        for day in offered_days(own):
            cleaner.require_fit(db, day)
