"""Fetching pages: bounded, and never from where it must not be, by whatever name or redirect. Real sockets."""

from __future__ import annotations

import gzip
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
import trustme

from tests.tools._processes import open_files
from tinyagent_actors import AddressRefusedError, AgentToolResult, FetchError, SpecError
from tinyagent_actors.tools.library import fetch_tool
from tinyagent_actors.tools.library._addresses import Addresses

LOOPBACK = ["127.0.0.1/32"]


@attrs.define
class Server:
    """What was asked, and at which address."""

    port: int = 0
    asked: list[bytes] = attrs.field(factory=list)


@asynccontextmanager
async def serving(
    answer: bytes, host: str = "127.0.0.1", port: int = 0, own: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """A server that gives one answer to whatever it is asked, and then waits for the end of the connection."""
    server = Server()

    async def serve(plain: trio.SocketStream) -> None:
        stream: Any = plain if own is None else trio.SSLStream(plain, own, server_side=True, https_compatible=True)
        async with stream:
            try:
                server.asked.append(await stream.receive_some())
                await stream.send_all(answer)
                if b"content-length" in answer:
                    await stream.receive_some()
            except trio.BrokenResourceError:
                return

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(port, host=host)
        server.port = listeners[0].socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield server
        nursery.cancel_scope.cancel()


def page(body: bytes = b"hello", *more: str, status: str = "200 OK", kind: str = "text/plain") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}", *more, "", ""]
    return "\r\n".join(lines).encode() + body


def redirect(to: str) -> bytes:
    return page(b"", f"location: {to}", status="302 Found")


async def fetch(url: str, **options: Any) -> AgentToolResult:
    with trio.fail_after(60):
        result: AgentToolResult = await fetch_tool(**{"allow": LOOPBACK, **options})(url)
    return result


def text_of(result: AgentToolResult) -> str:
    return result.content[0].text


class Names(trio.abc.HostnameResolver):
    """Resolves every name to what it is told to, one after the other."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def getaddrinfo(self, host: Any, port: Any, *_more: int) -> Any:
        await trio.lowlevel.checkpoint()
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in answer]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise NotImplementedError


async def test_a_page() -> None:
    """Its status, kind and address, then its text; an answer that says it failed is marked so."""
    before = open_files()
    async with serving(page("café".encode("latin-1"), kind="text/html; charset=latin-1")) as server:
        result = await fetch(f"http://127.0.0.1:{server.port}/x?y=1#z")
        assert text_of(result) == f"[200 text/html http://127.0.0.1:{server.port}/x?y=1]\ncafé"
    async with serving(page(b"no", status="404 Not Found")) as server:
        failed = await fetch(f"http://127.0.0.1:{server.port}/")

    assert failed.is_error
    assert text_of(failed).endswith("no")
    assert open_files() == before


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104  # it is what is tested
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "no address",
    ],
)
def test_private_addresses_in_every_disguise(address: str) -> None:
    """Loopback, local, link-local, shared, multicast, reserved; as IPv4, as IPv6, and hidden in IPv6."""
    assert not Addresses().may_reach(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_public_addresses(address: str) -> None:
    """Those of the internet, in every form; and with `allow` what stands in it."""
    assert Addresses().may_reach(address)
    assert Addresses(["10.0.0.0/8"]).may_reach("10.1.2.3")
    assert Addresses(["127.0.0.1/32"]).may_reach("::ffff:127.0.0.1")
    assert not Addresses(["10.0.0.0/8"]).may_reach("192.168.0.1")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "127.1"])
async def test_this_machine_is_not_asked(host: str) -> None:
    """Nothing is sent, however its address is written."""
    async with serving(page()) as server:
        with pytest.raises((AddressRefusedError, FetchError)) as caught:
            await fetch(f"http://{host}:{server.port}/", allow=())

    assert server.asked == []
    assert isinstance(caught.value, AddressRefusedError) or "resolved" in str(caught.value)


async def test_a_redirect_is_judged_as_any_address() -> None:
    """From what is allowed to what is not: refused, and nobody there is asked."""
    async with serving(page(), host="127.0.0.2") as private:
        async with serving(redirect(f"http://127.0.0.2:{private.port}/secret")) as public:
            with pytest.raises(AddressRefusedError, match=r"127\.0\.0\.2 leads to a private address"):
                await fetch(f"http://127.0.0.1:{public.port}/")

    assert len(public.asked) == 1
    assert private.asked == []


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://user:pass@127.0.0.1/", "//127.0.0.9/"]
)
async def test_a_redirect_to_what_is_no_page(to: str) -> None:
    """Other schemes, and addresses with a password in them."""
    async with serving(redirect(to)) as server:
        with pytest.raises(AddressRefusedError) as caught:
            await fetch(f"http://127.0.0.1:{server.port}/")

    assert "pass@" not in str(caught.value)


async def test_redirects_come_to_an_end() -> None:
    """Relative ones are followed; a circle is left."""
    async with serving(redirect("/again")) as server:
        with pytest.raises(FetchError, match="more than 5 redirects"):
            await fetch(f"http://127.0.0.1:{server.port}/")

    assert len(server.asked) == 6


async def test_a_name_is_resolved_once_and_that_address_is_asked() -> None:
    """A name that leads elsewhere the second time: there is no second time."""
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    trio.socket.set_custom_hostname_resolver(names)
    async with serving(page()) as server:
        assert text_of(await fetch(f"http://rebinding.example:{server.port}/")).endswith("hello")

    assert names.asked == 1
    assert b"host: rebinding.example" in server.asked[0].lower()


async def test_of_several_addresses_only_the_public_are_tried() -> None:
    """A name with a private address among others: that one is not connected to; with none but private ones it is refused."""
    trio.socket.set_custom_hostname_resolver(Names(["127.0.0.2", "127.0.0.1"]))
    async with serving(page()) as server, serving(page(), host="127.0.0.2", port=server.port) as private:
        assert text_of(await fetch(f"http://two.example:{server.port}/")).endswith("hello")
        trio.socket.set_custom_hostname_resolver(Names(["127.0.0.2", "10.0.0.1"]))
        with pytest.raises(AddressRefusedError):
            await fetch(f"http://two.example:{server.port}/")

    assert private.asked == []


async def test_headers_stay_with_their_server() -> None:
    """A key that is given for one server goes to no other that it redirects to."""
    async with serving(page()) as other:
        async with serving(redirect(f"http://127.0.0.1:{other.port}/")) as server:
            await fetch(f"http://127.0.0.1:{server.port}/", headers={"Authorization": "Bearer k"})

    assert b"Bearer k" in server.asked[0]
    assert b"Bearer k" not in other.asked[0]


async def test_a_long_page_is_cut() -> None:
    """So is one without an end, and one that is small until it is unpacked."""
    endless = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n" + b"x" * 500_000
    packed = page(gzip.compress(b"x" * 50_000_000), "content-encoding: gzip")
    for answer in (page(b"x" * 200_000), endless, packed):
        async with serving(answer) as server:
            result = await fetch(f"http://127.0.0.1:{server.port}/", most_bytes=100_000)
        assert text_of(result).endswith("x\n[cut: only the first 100000 bytes were fetched]")
        assert len(text_of(result)) < 100_200


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (page(b"\x89PNG", kind="image/png"), "image/png, which is no text"),
        (page(b"x", "content-encoding: br"), "packed by br"),
        (page(b"no gzip at all", "content-encoding: gzip"), "not packed as it says"),
        (b"SSH-2.0-OpenSSH_9\r\n", "broke off"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx", "took longer than 0.5 s"),
    ],
)
async def test_what_is_no_page(answer: bytes, problem: str) -> None:
    """What is no text, packed otherwise, no HTTP, or does not come: an error that says so."""
    async with serving(answer) as server:
        with pytest.raises(FetchError, match=problem):
            await fetch(f"http://127.0.0.1:{server.port}/", seconds=0.5 if "0.5 s" in problem else 60)


@pytest.mark.parametrize(
    "url", ["", "x", "file:///etc/passwd", "http://", "http://a:b@127.0.0.1/", "http://[::1", "gopher://x/"]
)
async def test_what_is_no_address(url: str) -> None:
    """Refused before anything is resolved; no password is quoted."""
    with pytest.raises(AddressRefusedError) as caught:
        await fetch(url)

    assert "a:b" not in str(caught.value)


async def test_a_server_that_is_not_there() -> None:
    """An error that says so."""
    with pytest.raises(FetchError, match="cannot be reached"):
        await fetch("http://127.0.0.1:1/")


async def test_a_certificate_is_judged_by_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the connection goes to figures: the name that was asked for has to stand in the certificate."""
    authority, wanted = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(wanted)
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("secure.example").configure_cert(own)
    monkeypatch.setattr("tinyagent_actors.tools.library._fetch._ssl_context", lambda: wanted)
    trio.socket.set_custom_hostname_resolver(Names(["127.0.0.1"]))
    async with serving(page(), own=own) as server:
        assert text_of(await fetch(f"https://secure.example:{server.port}/")).endswith("hello")
        with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
            await fetch(f"https://other.example:{server.port}/")


async def test_cancelled_the_connection_is_closed() -> None:
    """No descriptor stays open."""
    before = open_files()
    async with serving(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx") as server:
        with trio.move_on_after(0.3) as scope:
            await fetch(f"http://127.0.0.1:{server.port}/")

    assert scope.cancelled_caught
    assert open_files() == before


def test_what_is_allowed_is_checked() -> None:
    """Networks, in a list."""
    for allow in ("127.0.0.1", ["nowhere"]):
        with pytest.raises(SpecError) as caught:
            fetch_tool(allow=allow)
        assert caught.value.field == "allow"
