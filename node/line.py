"""A line to the hub that goes on over a new connection when the node's certificate changes, without losing a call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NoReturn

import grpc


class Line(grpc.Channel):
    """A channel for calls with one request and one response, over the newest of a row of channels.

    An older channel is closed when its last call has ended.

    Parameters
    ----------
    channel
        The first channel.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._lock = threading.Lock()
        self._newest = channel
        self._calls = {channel: 0}

    def switch(self, channel: grpc.Channel) -> None:
        """Make the calls from now on over another channel."""
        with self._lock:
            old, self._newest = self._newest, channel
            self._calls[channel] = 0
        self._close_if_unused(old)

    def unary_unary(self, method: str, *how: Any, **more: Any) -> Any:
        """Return what makes calls of a method."""
        return _Method(self, lambda channel: channel.unary_unary(method, *how, **more))

    def begin(self) -> grpc.Channel:
        """Return the newest channel and count a call on it."""
        with self._lock:
            self._calls[self._newest] += 1
            return self._newest

    def end(self, channel: grpc.Channel) -> None:
        """Count a call as ended."""
        with self._lock:
            if channel in self._calls:
                self._calls[channel] -= 1
        self._close_if_unused(channel)

    def _close_if_unused(self, channel: grpc.Channel) -> None:
        with self._lock:
            if channel is self._newest or self._calls.get(channel) != 0:
                return
            del self._calls[channel]
        # The last call ends in a thread of its channel, which cannot close itself.
        threading.Thread(target=channel.close).start()

    def close(self) -> None:
        """Close every channel; calls that wait are cancelled."""
        with self._lock:
            channels = list(self._calls)
            self._calls = {self._newest: 0}
        for channel in channels:
            channel.close()

    def __enter__(self) -> Line:
        """Return the line, which is closed at the end of the block."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the line."""
        self.close()

    def subscribe(self, *_arguments: Any, **_more: Any) -> NoReturn:
        """Not on a line."""
        raise NotImplementedError

    unsubscribe = unary_stream = stream_unary = stream_stream = subscribe


class _Method:
    """Calls of one method, each over the channel that is the newest when it begins."""

    def __init__(self, line: Line, on: Callable[[grpc.Channel], Any]) -> None:
        self._line, self._on = line, on

    def future(self, request: Any, **how: Any) -> Any:
        channel = self._line.begin()
        try:
            call = self._on(channel).future(request, **how)
        except BaseException:
            self._line.end(channel)
            raise
        call.add_done_callback(lambda _call: self._line.end(channel))
        return call

    def with_call(self, request: Any, **how: Any) -> tuple[Any, Any]:
        call = self.future(request, **how)
        return call.result(), call

    def __call__(self, request: Any, **how: Any) -> Any:
        return self.with_call(request, **how)[0]
