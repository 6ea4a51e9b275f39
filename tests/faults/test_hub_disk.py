"""The hub's disk takes nothing more for a while: callers are told to try again, and nothing is half written."""

from __future__ import annotations

import resource

import psutil
import pytest

from privacy.errors import Unreachable
from privacy.ledger import verify
from tests.harness import START, Network, wait_until

PERIOD = (START, START)
OPERATORS = ("mno1", "mno2", "mno3")
#: No file may grow beyond so many bytes; the database is larger than that from the beginning.
FULL = 4096


@pytest.mark.full
def test_a_full_disk_at_the_hub_is_waited_for_and_nothing_is_half_written(net: Network) -> None:
    net.start_hub()
    hub = psutil.Process(net.running["hub"].pid)
    with net.office() as office:
        release = office.request("presence", *PERIOD)
        before = net.hub_rows("SELECT count(*) FROM audit")
        hub.rlimit(psutil.RLIMIT_FSIZE, (FULL, resource.RLIM_INFINITY))
        with pytest.raises(Unreachable):
            office.request("residents", *PERIOD)
        for operator in OPERATORS:
            net.start_node(operator)
        wait_until(lambda: all("does not answer" in net.log(name) for name in OPERATORS), "failed calls")
        assert net.hub_rows("SELECT count(*) FROM audit") == before
        assert net.hub_rows("SELECT count(*) FROM release") == [(1,)]
        assert net.hub_rows("PRAGMA integrity_check") == [("ok",)]
        assert net.contributions() == {}
        hub.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        office.wait(release, 120, lambda _seen: None)
    assert set(net.contributions()) == {(release, operator) for operator in OPERATORS}
    assert [verify(net.home(operator).ledger)[0] for operator in OPERATORS] == [1, 1, 1]
