"""How a configuration names the place at which a daemon tells its metrics."""

from __future__ import annotations

#: host:port, or nothing.
PLACE = r"^$|^[^\s:]+:[0-9]{1,5}$"
