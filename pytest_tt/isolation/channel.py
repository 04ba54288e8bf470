"""Messages between a parent and its child: JSON objects, one per line, over a pair of sockets."""

from __future__ import annotations

import json
import os
import select
import socket
import threading
from contextlib import suppress
from typing import Any

Message = dict[str, Any]

_CHUNK = 1 << 16
_MOST_DESCRIPTORS = 4


class Channel:
    """One end of the connection. Descriptors that arrive with a message are kept until `take_descriptors`."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self._lines: list[bytes] = []
        self._descriptors: list[int] = []
        self._sending = threading.Lock()

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self._socket.fileno()

    def send(self, message: Message, descriptors: tuple[int, ...] = ()) -> None:
        """Send `message`; values that JSON lacks are sent as text. Raises OSError if the other end is closed."""
        data = json.dumps(message, default=str).encode() + b"\n"
        with self._sending:  # a test may trace or compile in a thread of its own
            sent = socket.send_fds(self._socket, [data], descriptors) if descriptors else 0
            self._socket.sendall(data[sent:])

    def receive(self, timeout_s: float | None = None) -> Message | None:
        """The next message; None if none arrives in time. Raises EOFError if the other end is closed."""
        while not self._lines:
            if timeout_s is not None and not select.select([self._socket], [], [], timeout_s)[0]:
                return None
            self._read()
        message: Message = json.loads(self._lines.pop(0))
        return message

    def _read(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, _CHUNK, _MOST_DESCRIPTORS)
        except ConnectionError:
            raise EOFError from None
        self._descriptors += descriptors
        if not data:
            raise EOFError
        self._buffer += data
        if b"\n" in data:  # otherwise a long message is still arriving
            *lines, rest = bytes(self._buffer).split(b"\n")
            self._lines += lines
            self._buffer = bytearray(rest)

    def take_descriptors(self) -> list[int]:
        """The descriptors that have arrived; the caller closes them."""
        taken, self._descriptors = self._descriptors, []
        return taken

    def close(self) -> None:
        """Close this end."""
        for descriptor in self.take_descriptors():
            with suppress(OSError):
                os.close(descriptor)
        self._socket.close()
