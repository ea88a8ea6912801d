"""A TCP proxy on loopback between the consumers and one server, which can misbehave as networks do."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from devstack.ports import HOST


class Mode(Enum):
    """How bytes travel at the moment."""

    OPEN = "open"
    REFUSE = "refuse"
    """New connections are closed at once."""
    SLOW = "slow"
    """Each piece arrives 0.1 s late."""
    HOLE = "hole"
    """Nothing arrives, in either direction, and nobody is told."""
    DEAF = "deaf"
    """What the client says arrives; the server's answers don't."""


SLOWNESS = 0.1
_COMMIT = b"COMMIT\x00"
"""So it stands in PostgreSQL's protocol, both where a client asks for it and where the server has done it."""
_MOVE = b"UPDATE consumers_partitionledger"
"""By this the transaction of a chunk is known."""


class Ambush:
    """Waits for a chunk's COMMIT and breaks its connection: before the server hears of it, or before the client hears
    that it took."""

    def __init__(self, passes: int, *, took: bool) -> None:
        """`passes` is how many COMMITs go by unharmed."""
        self._passes = passes
        self._took = took
        self._writing: set[object] = set()
        self.done = threading.Event()

    def falls(self, data: bytes, connection: object, *, answer: bool) -> bool:
        """Whether the connection on which these bytes travel ends here, and they with it."""
        if _MOVE in data:
            self._writing.add(connection)
        if self.done.is_set() or answer is not self._took or _COMMIT not in data or connection not in self._writing:
            return False
        self._writing.discard(connection)
        self._passes -= 1
        if self._passes < 0:
            self.done.set()
        return self._passes < 0


@dataclass(eq=False)
class _Pair:
    """The two ends of one proxied connection."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter

    def abort(self) -> None:
        self.client.transport.abort()
        self.server.transport.abort()


class Proxy:
    """Listens on `port` and forwards to `upstream`. All methods may be called from any thread."""

    def __init__(self, port: int, upstream: int) -> None:
        self.port = port
        self._upstream = upstream
        self._mode = Mode.OPEN
        self._ambush: Ambush | None = None
        self._pairs: set[_Pair] = set()
        # The loop knows its tasks by weak references only: one that nobody holds may be collected, and its connection
        # would then be a black hole for ever.
        self._tasks: set[asyncio.Future[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{port}", daemon=True)
        self._thread.start()
        opening = asyncio.start_server(self._accept, HOST, port)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(5)

    def set(self, mode: Mode) -> None:
        self._mode = mode

    def lay(self, ambush: Ambush | None) -> None:
        """Only one at a time; None lifts it."""
        self._ambush = ambush

    def cut(self) -> None:
        """Reset every connection."""
        self._call(lambda pair: pair.abort())

    def half_close(self) -> None:
        """Tell every client that the server has said its last; the other direction stays open."""
        self._call(lambda pair: None if pair.client.is_closing() else pair.client.write_eof())

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _call(self, action: Callable[[_Pair], object]) -> None:
        """Do something to every connection."""

        async def run() -> None:
            for pair in list(self._pairs):
                with contextlib.suppress(OSError, RuntimeError):
                    action(pair)

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(5)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode is Mode.REFUSE:
            writer.transport.abort()
            return
        try:
            answers, server = await asyncio.open_connection(HOST, self._upstream)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(writer, server)
        self._pairs.add(pair)
        pumps = {
            asyncio.ensure_future(self._pump(pair, reader, server, answer=False)),
            asyncio.ensure_future(self._pump(pair, answers, writer, answer=True)),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self._pairs.discard(pair)
            pair.abort()

    async def _pump(
        self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answer: bool
    ) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            while data := await reader.read(65536):
                if self._ambush is not None and self._ambush.falls(data, pair, answer=answer):
                    return  # the end of one direction ends the pair
                if self._mode is Mode.SLOW:
                    await asyncio.sleep(SLOWNESS)
                while self._mode is Mode.HOLE or (self._mode is Mode.DEAF and answer):
                    await asyncio.sleep(0.02)
                writer.write(data)
                await writer.drain()
