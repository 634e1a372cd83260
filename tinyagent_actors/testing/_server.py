"""The server behind an endpoint: connections in, requests read, routes, the policy asked, answers written, all counted."""

from __future__ import annotations

import hmac
import inspect
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

import attrs
import orjson
import trio

from tinyagent_actors._errors import SpecError, ValueShapeError
from tinyagent_actors._redact import redact_text
from tinyagent_actors.testing._connection import BadRequestError, ClientLeftError, HttpConnection, open_connection
from tinyagent_actors.testing._delivery import BreakOff, Ending, Exchange, Step, Wait, Write, ending, plan
from tinyagent_actors.testing._policy import Policy
from tinyagent_actors.testing._request import ChatRequest, RecordedRequest
from tinyagent_actors.testing._script import Reply, error_body
from tinyagent_actors.testing._statistics import Answered, Counters, EndpointStatistics, Limits, Outcome
from tinyagent_actors.testing._wire import Dialect, OpenAIChat
from tinyagent_actors.testing._wire_anthropic import AnthropicMessages

_DIALECTS: Final[tuple[Dialect, ...]] = (OpenAIChat(), AnthropicMessages())
_MAX_ERRORS: Final = 100
_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream; charset=utf-8"


@attrs.define(eq=False)
class _Work:
    """The work on one request, as far as it has come."""

    request: RecordedRequest
    status: int | None = None
    outcome: Outcome = "disconnected"
    ending: Ending = "close"
    sent: int = 0


@attrs.define(eq=False, kw_only=True)
class Server:
    """All that an endpoint is, but for its face."""

    policy: Policy
    model: str
    limits: Limits
    _api_key: str | None
    _on_answer: Callable[[Answered], None] | None
    requests: deque[RecordedRequest] = attrs.field(init=False, factory=deque)
    errors: deque[Exception] = attrs.field(init=False, factory=lambda: deque(maxlen=_MAX_ERRORS))
    changes: trio.lowlevel.ParkingLot = attrs.field(init=False, factory=trio.lowlevel.ParkingLot)
    """Where those wait who wait for a counter."""
    _counters: Counters = attrs.field(init=False, factory=Counters)
    _connections: int = attrs.field(init=False, default=0)
    _open_streams: int = attrs.field(init=False, default=0)
    _recorded_bytes: int = attrs.field(init=False, default=0)
    _request_numbers: Iterator[int] = attrs.field(init=False, factory=lambda: itertools.count(1))
    _connection_numbers: Iterator[int] = attrs.field(init=False, factory=lambda: itertools.count(1))

    def statistics(self) -> EndpointStatistics:
        """Give the counters as they are now."""
        return EndpointStatistics(
            **attrs.asdict(self._counters), connections=self._connections, open_streams=self._open_streams
        )

    def forget(self) -> None:
        """Forget requests, errors and counters; what is being worked on goes on, and is counted nowhere."""
        self.requests.clear()
        self._recorded_bytes = 0
        self.errors.clear()
        self._counters = Counters()
        self.changes.unpark_all()

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection."""
        self._counters.accepted += 1
        number = next(self._connection_numbers)
        full = self._connections >= self.limits.connections
        self._counters.refused += full
        self._connections += 1
        self.changes.unpark_all()
        try:
            async with open_connection(
                stream, number=number, idle=self.limits.idle, max_body=self.limits.body
            ) as connection:
                if full:
                    await self._turn_away(connection, 503, f"at most {self.limits.connections} connections are served")
                while not full and await self._exchange(connection):
                    pass
        finally:
            self._connections -= 1
            self.changes.unpark_all()

    async def _turn_away(self, connection: HttpConnection, status: int, message: str) -> None:
        """Say why, if the client still listens."""
        reply = Reply.error(status, message, close=True)
        steps = plan(reply, [reply.body or b""], Exchange(number=0, close=True), content_type=_JSON)
        try:
            for step in steps:
                if isinstance(step, Write):
                    await connection.write(step.data)
        except ClientLeftError:
            return

    async def _exchange(self, connection: HttpConnection) -> bool:
        """Serve one request; give whether another may follow."""
        try:
            head = await connection.read_head(self._request_numbers)
        except BadRequestError as problem:
            self._counters.malformed += 1
            self.changes.unpark_all()
            await self._turn_away(connection, problem.status, problem.message)
            return False
        if head is None:
            return False
        counters = self._counters
        counters.requests += 1
        self.changes.unpark_all()
        started = trio.current_time()
        work = _Work(request=head)
        try:
            with connection.answering():
                await self._work(connection, work)
        except ClientLeftError:
            work.outcome, work.ending = "disconnected", "close"
        counters.end(work.outcome)
        self.changes.unpark_all()
        self._report(work, trio.current_time() - started)
        connection.reset = work.ending == "reset"
        return work.ending == "keep"

    def _report(self, work: _Work, seconds: float) -> None:
        if self._on_answer is None:
            return
        answered = Answered(
            request=work.request, status=work.status, outcome=work.outcome, sent=work.sent, seconds=seconds
        )
        try:
            self._on_answer(answered)
        except Exception as error:  # noqa: BLE001  # a user's function
            self.errors.append(error)

    async def _work(self, connection: HttpConnection, work: _Work) -> None:
        """Read the body, find the reply, give it."""
        try:
            work.request = await connection.read_body(work.request)
        except BadRequestError as problem:
            await self._give(connection, work, Reply.error(problem.status, problem.message, close=True), None)
            return
        self._record(work.request)
        path = work.request.path
        dialect = next((dialect for dialect in _DIALECTS if dialect.owns(path)), None)
        refusal = self._refusal(work.request, path, dialect)
        if refusal is not None:
            await self._give(connection, work, refusal, None)
        elif dialect is None:
            await self._give(connection, work, self._page(path), None)
        else:
            with self._open_stream():
                await self._complete(connection, work, dialect)

    def _refusal(self, request: RecordedRequest, path: str, dialect: Dialect | None) -> Reply | None:
        """Give the error of a request that is refused before it is looked into."""
        known = path.rstrip("/")
        if dialect is None and known != "/healthz" and not known.endswith("/models"):
            return Reply.error(404, f"nothing is served at {redact_text(path)}", code="unknown_url")
        allowed = "POST" if dialect is not None else "GET"
        if request.method != allowed and (allowed, request.method) != ("GET", "HEAD"):
            message = f"{path} takes {allowed}, not {request.method}"
            return Reply.error(405, redact_text(message), code="method_not_allowed", headers={"allow": allowed})
        if self._api_key is not None and known != "/healthz":
            given = request.header("authorization") or f"Bearer {request.header('x-api-key') or ''}"
            if not hmac.compare_digest(given.encode(), b"Bearer " + self._api_key.encode()):
                return Reply.error(401, "the API key is missing or wrong", code="invalid_api_key")
        return None

    def _page(self, path: str) -> Reply:
        if path.rstrip("/") == "/healthz":
            return Reply(body=b'{"status":"ok"}')
        models = [{"id": self.model, "object": "model", "created": 0, "owned_by": "tinyagent"}]
        return Reply(body=orjson.dumps({"object": "list", "data": models}))

    async def _complete(self, connection: HttpConnection, work: _Work, dialect: Dialect) -> None:
        try:
            request = dialect.parse(work.request)
        except ValueShapeError as error:
            body = error_body(400, redact_text(str(error)), param=error.field)
            await self._give(connection, work, Reply(status=400, body=body), None)
            return
        reply = await self._decide(request)
        content = None if reply.raw or reply.status >= HTTPStatus.BAD_REQUEST else dialect.render(reply, request)
        await self._give(connection, work, reply, content, streamed=request.stream)

    async def _decide(self, request: ChatRequest) -> Reply:
        """Ask the policy. What it raises is an answer, and is kept."""
        try:
            decided: Any = self.policy(request)
            reply = await decided if inspect.isawaitable(decided) else decided
            if not isinstance(reply, Reply):
                raise SpecError("reply", f"the policy gave {type(reply).__name__}, not a Reply")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001  # a user's function
            self.errors.append(error)
            return Reply.error(500, _words(f"the policy raised {type(error).__name__}: {error}"), kind="policy_error")
        return reply

    async def _give(
        self,
        connection: HttpConnection,
        work: _Work,
        reply: Reply,
        content: Sequence[bytes] | None,
        *,
        streamed: bool = False,
    ) -> None:
        """Write an answer. `content` is the body of a reply that was rendered."""
        exchange = _exchange_of(work.request)
        chunks = _chunks(reply) if content is None else content
        content_type = _EVENTS if reply.chunks is not None or (content is not None and streamed) else _JSON
        try:
            steps = plan(reply, chunks, exchange, content_type=content_type)
        except SpecError as error:
            self.errors.append(error)
            reply = Reply.error(500, str(error), kind="script_error")
            steps = plan(reply, _chunks(reply), exchange, content_type=_JSON)
        for step in steps:
            if isinstance(step, BreakOff):
                work.outcome, work.ending = "faulted", step.ending
                return
            await _take(connection, work, step, reply.status)
        work.outcome, work.ending = "served", ending(reply, exchange)

    def _record(self, request: RecordedRequest) -> None:
        self.requests.append(request)
        self._recorded_bytes += len(request.body)
        while self.requests and (
            len(self.requests) > self.limits.recorded or self._recorded_bytes > self.limits.recorded_bytes
        ):
            self._recorded_bytes -= len(self.requests.popleft().body)

    @contextmanager
    def _open_stream(self) -> Iterator[None]:
        self._open_streams += 1
        self.changes.unpark_all()
        try:
            yield
        finally:
            self._open_streams -= 1


async def _take(connection: HttpConnection, work: _Work, step: Step, status: int) -> None:
    if isinstance(step, Write):
        work.status = status
        await connection.write(step.data)
        work.sent += len(step.data)
    elif isinstance(step, Wait) and step.seconds is None:
        await trio.sleep_forever()
    elif isinstance(step, Wait) and step.seconds:
        await trio.sleep(step.seconds)


def _exchange_of(request: RecordedRequest) -> Exchange:
    tokens = {token.strip().lower() for token in (request.header("connection") or "").split(",")}
    close = "close" in tokens or request.http_version < "1.1"
    return Exchange(number=request.number, method=request.method, http_version=request.http_version, close=close)


def _chunks(reply: Reply) -> Sequence[bytes]:
    """Give the body of a reply that is not rendered: raw bytes, or an error."""
    if reply.chunks is not None:
        return reply.chunks
    if reply.body is not None:
        return [reply.body]
    message = reply.text or f"the fake endpoint was told to answer {reply.status}"
    return [error_body(reply.status, message)]


def _words(text: str) -> str:
    """Make a text fit for a client: no credential, no lone surrogate."""
    return redact_text(text.encode(errors="replace").decode())
