"""Playing a cassette back: a server on loopback that answers as was recorded, and nothing else.

Each recorded exchange is given once, in the order of the file among those with equal requests. So a program that asks
twice what was recorded once is told, as is one that asks something else: the client gets an error that is not tried again,
and the block raises one that says what differs from the nearest recorded request. Refused: answering a miss from the real
provider (a test that needs the network on some days), and giving the last answer again (a loop would never end).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import PathLike, fspath
from typing import Final, final

import attrs
import trio

from tinyagent_actors._errors import CassetteMissError, CassetteUnusedError
from tinyagent_actors.providers._capturing_source import parsed
from tinyagent_actors.providers._cassette import Cassette, CassetteExchange, CassetteRequest, CassetteResponse
from tinyagent_actors.providers._cassette_file import read_cassette
from tinyagent_actors.providers._cassette_secrets import kept_request
from tinyagent_actors.testing._connection import HttpConnection
from tinyagent_actors.testing._delivery import Ending
from tinyagent_actors.testing._difference import differences, shown
from tinyagent_actors.testing._loopback import framed, head_of, last_of, open_loopback, refuse
from tinyagent_actors.testing._request import RecordedRequest

_MISS_STATUS: Final = 404
"""One that no client tries again."""
_MISS_TEXT: Final = "the cassette has no answer to this request; the block that replays it says what differs"


@final
@attrs.define(eq=False, repr=False)
class Replay:
    """A cassette that is being played back. Made by `replay_cassette` alone."""

    url: str
    """The base URL for a client."""
    file: str
    _cassette: Cassette
    _is_timed: bool
    _unused: list[CassetteExchange]
    _miss: CassetteMissError | None = attrs.field(default=None, init=False)

    @property
    def unused(self) -> tuple[str, ...]:
        """Line, method and path of each exchange that was not asked for yet."""
        return tuple(f"line {exchange.line} {exchange.request.place}" for exchange in self._unused)

    @property
    def miss(self) -> CassetteMissError | None:
        """What was asked first that had no answer, if anything."""
        return self._miss

    async def answer(self, connection: HttpConnection, request: RecordedRequest) -> Ending:
        """Answer a request."""
        asked, _ = kept_request(request.method, request.target, request.headers, request.body, parsed(request.body))
        exchange = self._take(asked)
        if exchange is None:
            self._note_miss(asked)
            return await refuse(connection, _MISS_STATUS, _MISS_TEXT, kind="cassette_miss")
        return await self._play(connection, exchange.response)

    def _take(self, asked: CassetteRequest) -> CassetteExchange | None:
        key = asked.key
        found = next((one for one in self._unused if one.request.has_body and one.request.key == key), None)
        if found is None:
            found = next(
                (one for one in self._unused if not one.request.has_body and one.request.place == asked.place), None
            )
        if found is not None:
            self._unused.remove(found)
        return found

    def _note_miss(self, asked: CassetteRequest) -> None:
        if self._miss is not None:
            self._miss = attrs.evolve(self._miss, misses=self._miss.misses + 1)
            return
        near = [(differences(one.request, asked), one) for one in self._cassette.exchanges]
        found, nearest = min(near, key=lambda pair: len(pair[0]), default=([], None))
        difference = shown(found) or "  nothing: its answer was given already"
        self._miss = CassetteMissError(self.file, asked.place, nearest.line if nearest else 0, difference)

    async def _play(self, connection: HttpConnection, response: CassetteResponse) -> Ending:
        wait = self._wait
        await wait(response.after)
        await connection.write(head_of(response))
        for chunk in response.chunks:
            await wait(chunk.after)
            if chunk.data:
                await connection.write(framed(response, chunk.data))
        await wait(response.end_after)
        if response.end == "left":
            await trio.sleep_forever()  # till the client leaves
        if response.end == "clean":
            await connection.write(last_of(response))
            return "close" if response.framing == "close" else "keep"
        if response.end == "reset":
            await connection.wait_taken()
            return "reset"
        return "close"

    async def _wait(self, seconds: float) -> None:
        if self._is_timed and seconds:
            await trio.sleep(seconds)

    def __repr__(self) -> str:
        return f"<Replay {self.file!r} {self.url} unused={len(self._unused)}>"


@asynccontextmanager
async def replay_cassette(
    path: str | PathLike[str], *, timed: bool = True, allow_unused: bool = False
) -> AsyncIterator[Replay]:
    """Answer as was recorded while the block runs. At its end, also after a cancel, every connection is closed.

    A request is known by its method, path, query and body; keys and other headers do not count. Each exchange is
    given once.

    Args:
        path: The file.
        timed: Whether each piece waits as long as it did; else all come as fast as the client takes them, in the same pieces.
        allow_unused: Whether the block may end before all of it was asked for.

    Yields:
        The replay; `url` is the base URL for a model.

    Raises:
        CassetteError: The file is wrong.
        CassetteMissError: Something was asked that it does not hold. It is raised at the end of the block; what the block
            raised is its cause.
        CassetteUnusedError: Something in it was never asked for, and the block raised nothing.

    Example:
        ::

            async with replay_cassette("tests/cassettes/paris.jsonl") as replay:
                agent = Agent()
                agent.set_model(Model("gpt-5.4-mini", base_url=replay.url))
                assert await agent.prompt_text("The capital of France?") == "Paris."
    """
    cassette = read_cassette(fspath(path))
    replay = Replay("", fspath(path), cassette, timed, list(cassette.exchanges))
    failure: Exception | None = None
    async with open_loopback(replay.answer) as loopback:
        replay.url = f"{loopback.origin}{cassette.base}"
        try:
            yield replay
        except Exception as error:  # noqa: BLE001  # raised again below, as itself or as the cause of a miss
            failure = error
    if replay.miss is not None:
        raise replay.miss from failure
    if failure is not None:
        raise failure
    if replay.unused and not allow_unused:
        raise CassetteUnusedError(replay.file, replay.unused)
