"""The node daemon: build presence, then wait for orders, answer them and upload what was committed."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path

from node.building import cleaner_of
from node.config import Home
from node.delivery import Delivery
from node.engine import connect
from node.enrolment import Agreement, keeper_of, load, secret_of
from node.evidence import Evidence
from node.jobs import BuildJob, run
from node.ledgers import require_sound, today
from node.metrics import NodeMetrics
from node.own_keys import require_own_keys
from node.period_keys import PeriodKeys
from node.progress import ProgressFile
from node.release.releasing import Releasing
from node.renewal import renewed_channel
from node.serving import Serving
from node.statistics.registry import algorithms
from node.stopping import Stopped, Stopping
from node.uplink import Uplink
from privacy.errors import UsageProblem
from privacy.ledger import Ledger
from privacy.ledger.caps import above_caps
from privacy.ledger.files import require_one_name
from privacy.ledger.request import Seam, no_seam
from quorate.contract.calendar import days_between
from quorate.contract.listener import tell_metrics

log = logging.getLogger("quorate.node")
#: A difference of clocks that is worth a warning.
_CLOCK_SECONDS = 60


def offered_days(own: Agreement) -> tuple[date, ...]:
    """Return the days for which the operator declares to have data."""
    source = own.config.source
    return tuple(
        day
        for day in days_between(source.first_day, source.last_day)
        if day not in own.policy.unavailable_days
    )


def ingest(
    home: Home, own: Agreement, progress: Callable[[str], None], stopping: Stopping | None = None
) -> tuple[date, ...]:
    """Build presence of every offered day in the worker process and return the days.

    Raises
    ------
    DataProblem
        If a day cannot be used.
    Stopped
        If the daemon was asked to stop; a day that was not finished is built again at the next start.
    """
    days = offered_days(own)
    run(BuildJob(home=home.root.resolve(), charter=own.charter_digest, days=days), progress, stopping)
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
        self._stopping, self._metrics = Stopping(), NodeMetrics(home.certificate)
        self._progress = ProgressFile(home.progress)

    def run(self) -> None:
        """Work until SIGTERM (returns) or SIGINT (KeyboardInterrupt).

        Raises
        ------
        QuorateError
            If the data cannot be used, the ledger cannot be opened, or the hub does not know this operator.
        """
        own, home, stopping = self._own, self._home, self._stopping
        require_sound(home, own)  # changes nothing: SIGTERM ends the process here
        require_own_keys(home, own.charter, own.operator)
        stopping.ask_on_sigterm()
        if home.ledger.exists() and (warning := above_caps(home.ledger, own.budgets)):
            log.warning("%s", warning)
        try:
            # Days may take longer to build than a certificate has left to live.
            with (
                closing(open_ledger(home, own, self._seam)) as ledger,
                renewed_channel(home, self._address, log) as channel,
            ):
                stopping.require_going()
                self._metrics.ledger(ledger, own.budgets)
                tell_metrics(own.config.metrics, self._metrics.registry)
                self._progress.note("building")
                days = ingest(home, own, lambda day: log.info("building presence of %s", day), stopping)
                log.info("presence of %d day(s) is ready", len(days))
                self._progress.note("starting")
                uplink = Uplink(channel, self._address, stopping.asked, log.warning)
                with stopping.ending(uplink.cancel):
                    self._work(uplink, ledger)
        except Stopped:
            self._progress.note("stopped")
            log.info("stopped")

    def _work(self, uplink: Uplink, ledger: Ledger) -> None:
        own, home = self._own, self._home
        signing = keeper_of(home, own.config).key
        keys = PeriodKeys(home, own, uplink, signing)
        releasing = Releasing(
            home.root.resolve(), own, algorithms(), ledger, partial(today, own), keys.ensure
        )
        evidence = Evidence(own.operator, own.charter, signing)
        delivery = Delivery(uplink, evidence, ledger, home.receipts, version("quorate"), self._seam)
        self._greet(delivery)
        delivery.claim()
        Serving(
            own, releasing, delivery, self._stopping, self._metrics, self._progress, home.factors, self._seam
        ).serve()

    def _greet(self, delivery: Delivery) -> None:
        answer = delivery.hello(self._patience)
        self._metrics.contact()
        self._progress.contact()
        if answer.charter_digest.hex() != self._own.charter_digest:
            raise UsageProblem(
                f"the hub works under version {answer.charter_version} of the charter of {answer.network}, "
                "which is not the one that was pinned here",
                means="no order would be agreed to",
                todo="get the charter from the hub operator, read it, and run quorate-node enrol again",
            )
        log.info("connected to the hub of %s at %s", answer.network, self._address)
        if abs(answer.clock_seconds - time.time()) > _CLOCK_SECONDS:
            log.warning(
                "the clock of this machine and that of the hub differ by more than %d s; the days of releases follow "
                "this one: have both set by a time service",
                _CLOCK_SECONDS,
            )
        delivery.publish()


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
    require_own_keys(home, own.charter, own.operator)
    require_one_name(home.ledger)
    entries = require_sound(home, own)
    return [
        "charter, zoning, policy and certificate are the enrolled ones",
        "the operator's keys are those of the charter",
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
