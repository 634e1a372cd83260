"""The compiled engine. `docs/explanation/engine-boundary.md` says what crosses here."""

from collections.abc import Sequence
from os import PathLike
from typing import Any, Final, TypeAlias, final

__all__: Final = ["AlchemyHub", "Completions", "Decoder", "Hub"]

_Item: TypeAlias = tuple[int, Any]

@final
class AlchemyHub:
    """The streams of a system on the published crate. There only where the feature `alchemy` was built.

    As `Hub`, but for `open`: each stream has a runtime of its own on a thread of a bounded pool.
    """

    def __new__(cls) -> AlchemyHub:
        """Make a hub. It costs nothing before the first stream."""

    def open(self, request: bytes) -> int:
        """Start a stream; give its number. Where 64 run it waits in line; where 1,024 wait it ends with an error.

        Args:
            request: JSON of ``{"model": ..., "context": ..., "options": ...}`` in the dict shapes of the seed; an
                `options.headers` goes over `model.headers`.

        Raises:
            ValueError: A member is wrong; the text names it and holds no value.
            PermissionError: There is no key.
            RuntimeError: The hub is closed, or this is a forked child.
        """

    def next_batch(self, timeout: float) -> list[tuple[int, list[_Item], int, int]] | None:
        """As `Hub.next_batch`."""

    def fileno(self) -> None:
        """There is none: only threads can wait."""

    def release(self, stream: int, events: int, size: int) -> None:
        """As `Hub.release`."""

    def end(self, stream: int) -> None:
        """As `Hub.end`."""

    def abort(self, stream: int) -> None:
        """Drop a stream and its runtime: its connection is closed at once."""

    def statistics(self) -> dict[str, int]:
        """Count ``streams`` and ``queued`` items; of the process, streams ``running`` and ``waiting`` for a thread."""

    def close(self) -> None:
        """As `Hub.close`."""

@final
class Completions:
    """One stream of the published crate for a caller that blocks. There only where the feature `alchemy` was built."""

    def __new__(cls, request: bytes) -> Completions:
        """Start a stream; arguments and errors as those of `AlchemyHub.open`."""

    def next_event(self) -> str | None:
        """Wait, without the interpreter's lock, for the next event; give its JSON, or None where there are no more."""

    def message(self) -> str | None:
        """Give the JSON of the last message, once its event was read."""

    def close(self) -> None:
        """End the stream and close its socket."""

@final
class Decoder:
    """The pure decoder of a dialect: bytes in, items out. It is what the hub uses, shown for tests."""

    def __new__(cls, api: str, *, think_tags: bool = False, event_limit: int = 67_108_864) -> Decoder:
        """Make the decoder of one body.

        Raises:
            ValueError: No dialect has this name.
        """

    def feed(self, data: bytes) -> list[_Item]:
        """Take bytes of the body; give the items that they make."""

    def end(self, cut: str | None) -> list[_Item]:
        """Say that the body ended, by itself or because of `cut`; give the last items."""

    @property
    def done(self) -> bool:
        """Whether the last item was given."""

@final
class Hub:
    """All streams of a system: one Tokio runtime with one worker thread, one pool of connections.

    Every method raises `RuntimeError` in a forked child. Any thread may call any of them; none waits but `next_batch`.
    """

    def __new__(cls) -> Hub:
        """Make a hub.

        Raises:
            RuntimeError: There is no thread to be had.
        """

    def open(
        self,
        url: str,
        headers: list[tuple[str, str]],
        body: bytes,
        *,
        api: str,
        think_tags: bool = False,
        event_limit: int = 67_108_864,
        connect_timeout: float | None = None,
        proxy: str | None = None,
        roots: Sequence[str | PathLike[str]] | None = None,
        capture: bool = False,
    ) -> int:
        """Send a POST request; give the number of its stream.

        Args:
            url: Where to; http or https.
            headers: Pairs of name and value, besides ``host`` and ``content-length``.
            body: Of the request.
            api: The dialect of the answer.
            think_tags: Whether `<think>` in the text is thinking.
            event_limit: Bytes of one event.
            connect_timeout: Seconds until there must be a connection; None for no limit.
            proxy: The URL of a proxy; None: straight. Nothing of the environment is read.
            roots: Files and folders with the certificates that are trusted, and no others; None: the system's.
            capture: Whether the bytes of the body are handed over too, as they come.

        Raises:
            ValueError: The URL, a header or the dialect cannot be used; the text holds no value of theirs.
            RuntimeError: The hub is closed.
        """

    def next_batch(self, timeout: float) -> list[tuple[int, list[_Item], int, int]] | None:
        """Wait, without the interpreter's lock, until anything is ready; give all that is.

        Args:
            timeout: Seconds; nothing came in them: an empty list.

        Returns:
            An entry for each stream that has anything: its number, its items, and what they cost in events and in bytes.
            None once the hub is closed.
        """

    def fileno(self) -> int | None:
        """What an event loop polls to hear of a batch, as long as the hub lives; None where only threads can wait (not on Linux)."""

    def poll_batch(self) -> list[tuple[int, list[_Item], int, int]] | None:
        """Take what is ready, and have `fileno` become readable for what comes next; never waits.

        Returns:
            As `next_batch`; empty after a false alarm. None once the hub is closed.
        """

    def request_age(self, stream: int) -> float | None:
        """Seconds since the request was written; while it is being written, since that began.

        None while there is no connection, and of a stream that is over.
        """

    def release(self, stream: int, events: int, size: int) -> None:
        """Give the credit of an entry back. Of a stream that is over it is nobody's."""

    def end(self, stream: int) -> None:
        """Read no more of a stream and let go what is held, as after a cut; its last items still come."""

    def abort(self, stream: int) -> None:
        """Drop a stream: its connection is closed at once, and nothing more comes of it."""

    def statistics(self) -> dict[str, int]:
        """Count ``streams`` that are open, connections ``opened``, ``requests`` begun and items ``queued``."""

    def close(self) -> None:
        """Abort all streams and wake whoever waits for a batch. Nothing can be opened any more."""
