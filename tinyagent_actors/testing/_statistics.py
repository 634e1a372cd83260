"""What an endpoint counts, and the bounds it keeps."""

from __future__ import annotations

from typing import Literal

import attrs

from tinyagent_actors.testing._request import RecordedRequest

Outcome = Literal["served", "disconnected", "faulted"]


@attrs.frozen(kw_only=True)
class Limits:
    """The bounds of an endpoint."""

    connections: int = 1024
    """At once; one more is answered 503 and closed."""
    body: int = 64 * 1024 * 1024
    """Bytes of a request; one more is answered 413."""
    recorded: int = 1000
    """Requests kept in `Endpoint.requests`, the newest."""
    recorded_bytes: int = 64 * 1024 * 1024
    """Bytes of their bodies, in all."""
    idle: float = 300.0
    """Seconds without a byte, in either direction, that a client may take."""


@attrs.frozen(kw_only=True)
class EndpointStatistics:
    """What has happened at an endpoint.

    While it is open, ``requests == served + disconnects + faulted`` whenever no request is being worked on.
    """

    requests: int
    """Requests whose head was read."""
    served: int
    """Answered to the end, errors too."""
    disconnects: int
    """Clients that left before the end: of their request, of the wait, of the answer."""
    faulted: int
    """Answers that a fault broke off."""
    malformed: int
    """What could not be read as a request."""
    refused: int
    """Connections over the limit."""
    accepted: int
    """Connections, in all."""
    connections: int
    """Connections open now."""
    open_streams: int
    """Completions being answered now."""


@attrs.frozen(kw_only=True)
class Answered:
    """How the work on a request ended."""

    request: RecordedRequest
    status: int | None
    """``None``: no status was sent."""
    outcome: Outcome
    sent: int
    """Bytes written, head and framing included."""
    seconds: float
    """From the head read to the last byte written."""


@attrs.define(eq=False)
class Counters:
    """The counters that only rise."""

    requests: int = 0
    served: int = 0
    disconnects: int = 0
    faulted: int = 0
    malformed: int = 0
    refused: int = 0
    accepted: int = 0

    def end(self, outcome: Outcome) -> None:
        """Count the end of the work on a request."""
        if outcome == "served":
            self.served += 1
        elif outcome == "faulted":
            self.faulted += 1
        else:
            self.disconnects += 1
