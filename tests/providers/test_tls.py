"""TLS: real handshakes with a server whose certificate a private authority has issued, on every engine."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trio

from tests.providers._relays import Authority, open_tls_front
from tests.providers.conftest import CONTEXT, Answer, Ask, open_raw_server
from tinyagent_actors import SpecError
from tinyagent_actors.messages import Model
from tinyagent_actors.providers import StreamOptions, Timeouts, Transport, open_stream
from tinyagent_actors.providers import _certificates as certificates_module
from tinyagent_actors.providers._certificates import Certificates
from tinyagent_actors.providers._route import Route
from tinyagent_actors.testing import Delivery, Reply, open_endpoint

SECRET = "sk-very-secret-0123456789"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that has issued the servers' certificates."""
    return Authority.make(tmp_path_factory.mktemp("authority"))


async def ask_over_tls(ask: Ask, context: ssl.SSLContext, **options: object) -> Answer:
    """Ask an endpoint behind TLS."""
    async with open_endpoint([Reply(text="hello")]) as endpoint, open_tls_front(endpoint.port, context) as front:
        answer = await ask.url(f"https://127.0.0.1:{front.port}/v1", api_key=SECRET, **options)
        if answer.kind is not None:
            assert endpoint.statistics().requests == 0
        return answer


def assert_untrusted(answer: Answer, reason: str) -> None:
    """It failed for this reason, for good, and its text holds no secret."""
    error = answer.message.error
    assert error is not None
    assert (error.kind, error.retryable, answer.types) == ("connection_error", False, ["stream_end"])
    assert error.message == f"127.0.0.1: the certificate is not trusted: {reason}"


async def test_a_private_authority_by_option(ask: Ask, authority: Authority) -> None:
    """L01: `Transport.ca` names the file of the authority that is trusted."""
    answer = await ask_over_tls(ask, authority.server(), transport=Transport(ca=authority.pem))

    assert (answer.text, answer.kind) == ("hello", None)


async def test_a_private_authority_by_a_folder(ask: Ask, authority: Authority, tmp_path: Path) -> None:
    """L01: a folder stands for its files; what else lies in it is nobody's fault."""
    (tmp_path / "ca.pem").write_bytes(authority.pem.read_bytes())
    (tmp_path / "README").write_text("the certificates of this house")
    (tmp_path / "empty").mkdir()

    assert (await ask_over_tls(ask, authority.server(), transport=Transport(ca=tmp_path))).text == "hello"


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_a_private_authority_by_the_environment(
    ask: Ask, authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """L01: `SSL_CERT_FILE` and `SSL_CERT_DIR` say so too."""
    path = authority.pem if name == "SSL_CERT_FILE" else authority.pem.parent
    monkeypatch.setenv(name, str(path))

    assert (await ask_over_tls(ask, authority.server())).text == "hello"


async def test_the_option_goes_before_the_environment(
    ask: Ask, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """L01: who names an authority trusts no other."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
    other = Authority.make(tmp_path)

    answer = await ask_over_tls(ask, authority.server(), transport=Transport(ca=other.pem))

    assert_untrusted(answer, "unknown issuer")


async def test_an_unknown_issuer(ask: Ask, authority: Authority) -> None:
    """L02: nobody said that the authority is trusted: typed, not to be tried again, and nothing is sent."""
    assert_untrusted(await ask_over_tls(ask, authority.server()), "unknown issuer")


async def test_a_certificate_that_has_expired(ask: Ask, authority: Authority) -> None:
    """L02: the text says so."""
    answer = await ask_over_tls(ask, authority.expired(), transport=Transport(ca=authority.pem))

    assert_untrusted(answer, "expired")


async def test_a_certificate_of_another_host(ask: Ask, authority: Authority) -> None:
    """L02: the text says so."""
    answer = await ask_over_tls(ask, authority.server("other.test"), transport=Transport(ca=authority.pem))

    assert_untrusted(answer, "wrong host")


@pytest.mark.parametrize(
    "content", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
async def test_an_authority_that_cannot_be_read(ask: Ask, tmp_path: Path, content: str | None) -> None:
    """L03: a file that is missing, empty, something else or damaged is a typed error that names it."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)

    answer = await ask.url("https://127.0.0.1:9/v1", transport=Transport(ca=path))

    error = answer.message.error
    assert error is not None
    assert (error.kind, error.retryable) == ("connection_error", False)
    assert error.message.startswith("the trusted certificates cannot be read: ")
    assert str(path) in error.message


async def test_a_folder_without_an_authority(ask: Ask, tmp_path: Path) -> None:
    """L03: nobody would be trusted, so it is an error."""
    answer = await ask.url("https://127.0.0.1:9/v1", transport=Transport(ca=tmp_path))

    assert answer.message.error is not None
    assert answer.message.error.message.endswith("there is no certificate")


async def test_plain_http_needs_no_certificate(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """L03: a local server is asked on a machine that has none."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")

    assert (await ask(Reply(text="hello"))).text == "hello"


async def test_a_server_without_tls(ask: Ask, authority: Authority) -> None:
    """L04: what answers in plain text is a `connection_error`."""
    async with open_raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        answer = await ask.url(url.replace("http://", "https://"), transport=Transport(ca=authority.pem))

    assert (answer.kind, answer.types) == ("connection_error", ["stream_end"])


async def test_a_handshake_that_does_not_end(ask: Ask, authority: Authority) -> None:
    """L04: `connect` bounds the handshake too."""

    async def serve(connection: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        url = f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1"
        answer = await ask.url(url, transport=Transport(ca=authority.pem), timeouts=Timeouts(connect=0.3))
        nursery.cancel_scope.cancel()

    assert answer.message.error is not None
    assert (answer.kind, answer.message.error.retryable) == ("timeout", True)
    assert answer.message.error.message == "no connection to 127.0.0.1 within 0.3 s"


async def test_connections_are_used_again(engine: str, authority: Authority) -> None:
    """L05: one handshake for three answers; another setting has connections of its own."""
    async with open_endpoint(lambda _: Reply(text="hello", framing="length")) as endpoint:
        async with open_tls_front(endpoint.port, authority.server()) as front:
            model = Model("any", base_url=f"https://localhost:{front.port}/v1")
            for ca in (authority.pem, authority.pem, authority.pem, authority.pem.parent):
                options = StreamOptions(engine=engine, transport=Transport(ca=ca))  # type: ignore[arg-type]  # one of them
                async with open_stream(model, CONTEXT, options) as stream:
                    assert (await stream.result()).text == "hello"
            assert front.accepted == 2


async def test_leaving_early_closes_the_connection(engine: str, authority: Authority) -> None:
    """L05: the server sees its client leave, though TLS would say goodbye first."""
    forever = Reply(text="word " * 1000, chunk_size=5, delivery=Delivery(delay_between=0.02))
    async with open_endpoint([forever]) as endpoint, open_tls_front(endpoint.port, authority.server()) as front:
        model = Model("any", base_url=f"https://localhost:{front.port}/v1")
        options = StreamOptions(engine=engine, transport=Transport(ca=authority.pem))  # type: ignore[arg-type]
        async with open_stream(model, CONTEXT, options) as stream:
            await anext(stream)

        with trio.fail_after(5):
            await endpoint.wait_for(lambda now: now.disconnects == 1)


@pytest.mark.parametrize("ca", ["", 3, "a\0b"])
def test_what_is_no_path(ca: object) -> None:
    """L03: refused where it is written."""
    with pytest.raises(SpecError, match=r"Transport\.ca"):
        Transport(ca=ca)  # type: ignore[arg-type]  # as a caller's mistake would have it


def test_contexts_are_bounded(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """L05: the one used longest ago makes room."""
    monkeypatch.setattr(certificates_module, "MAX_CONTEXTS", 2)
    certificates = Certificates()
    routes = [Route(roots=(str(authority.pem),) * number) for number in (1, 2, 3)]
    first, second = certificates.context(routes[0]), certificates.context(routes[1])
    assert certificates.context(routes[0]) is first
    certificates.context(routes[2])

    assert certificates.context(routes[0]) is first
    assert certificates.context(routes[1]) is not second
