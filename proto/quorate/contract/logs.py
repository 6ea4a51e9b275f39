"""Log lines of a daemon: text for people or JSON for programs, one line each, with the request id of the call."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog
from structlog.contextvars import get_contextvars, merge_contextvars

LogFormat = Literal["text", "json"]
LOG_FORMATS = ("text", "json")


class OneLine(logging.Formatter):
    """Formats a message as one line: what the other side sent cannot look like a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, control characters escaped; a traceback stays as it is."""
        call = get_contextvars().get("request_id")
        record.msg = printable(record.getMessage()) + (f" [{call}]" if call else "")
        record.args = None
        return super().format(record)


def printable(text: str) -> str:
    """Return a text with its control characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def configure(log_format: LogFormat) -> None:
    """Send messages of every logger to standard error.

    Parameters
    ----------
    log_format
        `text`, or `json` for one object a line: `at`, `level`, `logger`, `message`, in calls `request_id` and
        `method`, and `exception` where there is a traceback.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json() if log_format == "json" else _text())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _text() -> logging.Formatter:
    return OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s")


def _json() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            _ordered,
            structlog.processors.JSONRenderer(),
        ],
    )


def _ordered(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put what a person looks for first at the front."""
    first = {key: line[key] for key in ("at", "level", "logger", "message") if key in line}
    return {**first, **line}
