"""Proxies, by option and by the environment, on every engine. The hosts behind them exist nowhere else."""

from __future__ import annotations

import base64

import pytest

from tests.providers._relays import Authority, Relay, open_proxy, open_tls_front
from tests.providers.conftest import Ask
from tinyagent_actors import ProviderError, SpecError
from tinyagent_actors.providers import Transport
from tinyagent_actors.providers._route import Route, find_route, is_excepted
from tinyagent_actors.testing import Reply, open_endpoint

SECRET = "sk-very-secret-0123456789"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that has issued the servers' certificates."""
    return Authority.make(tmp_path_factory.mktemp("authority"))


def url_of(proxy: Relay, credentials: str = "") -> str:
    """Give the URL of a proxy."""
    return f"http://{credentials}127.0.0.1:{proxy.port}"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", None])
async def test_http_goes_through_the_proxy(ask: Ask, monkeypatch: pytest.MonkeyPatch, name: str | None) -> None:
    """X01: a request for plain http is given to the proxy whole."""
    async with open_endpoint([Reply(text="hello")]) as endpoint, open_proxy(endpoint.port) as proxy:
        if name is not None:
            monkeypatch.setenv(name, url_of(proxy))
        transport = Transport(proxy=None if name else url_of(proxy))
        answer = await ask.url("http://provider.test/v1", transport=transport, api_key=SECRET)

        assert (answer.text, answer.kind) == ("hello", None)
        assert proxy.seen[0][0] == "POST http://provider.test/v1/chat/completions HTTP/1.1"
        assert endpoint.requests[0].header("host") == "provider.test"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", None])
async def test_https_goes_through_a_tunnel(
    ask: Ask, authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    """X02: the proxy is asked to connect, and sees nothing of what passes."""
    async with open_endpoint([Reply(text="hello")]) as endpoint:
        async with open_tls_front(endpoint.port, authority.server()) as front, open_proxy(front.port) as proxy:
            if name is not None:
                monkeypatch.setenv(name, url_of(proxy))
            transport = Transport(ca=authority.pem, proxy=None if name else url_of(proxy))
            answer = await ask.url("https://provider.test/v1", transport=transport, api_key=SECRET)

            assert (answer.text, answer.kind) == ("hello", None)
            ((first, headers),) = proxy.seen
            assert first == "CONNECT provider.test:443 HTTP/1.1"
            assert "authorization" not in headers
            assert SECRET not in str(headers)


async def test_a_proxy_that_speaks_tls(ask: Ask, authority: Authority) -> None:
    """X02: its certificate is looked at, too."""
    async with open_endpoint([Reply(text="hello")]) as endpoint:
        async with open_proxy(endpoint.port, tls=authority.server()) as proxy:
            url = f"https://localhost:{proxy.port}"
            trusted = await ask.url(
                "http://provider.test/v1", transport=Transport(ca=authority.pem, proxy=url), api_key=SECRET
            )
            untrusted = await ask.url("http://provider.test/v1", transport=Transport(proxy=url), api_key=SECRET)

    assert trusted.text == "hello"
    assert untrusted.message.error is not None
    assert "unknown issuer" in untrusted.message.error.message


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_credentials_of_the_proxy(ask: Ask, authority: Authority, scheme: str) -> None:
    """X03: a user and a password of the URL go to the proxy alone."""
    async with (
        open_endpoint([Reply(text="hello")]) as endpoint,
        open_tls_front(endpoint.port, authority.server()) as front,
    ):
        async with open_proxy(front.port if scheme == "https" else endpoint.port) as proxy:
            transport = Transport(ca=authority.pem, proxy=url_of(proxy, "user:p%40ss@"))
            answer = await ask.url(f"{scheme}://provider.test/v1", transport=transport, api_key=SECRET)

            assert answer.text == "hello"
            assert proxy.seen[0][1]["proxy-authorization"] == "Basic " + base64.b64encode(b"user:p@ss").decode()
            if scheme == "https":
                assert endpoint.requests[0].header("proxy-authorization") is None


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_refuses(ask: Ask, authority: Authority, scheme: str) -> None:
    """X04: an error, and no password in its text."""
    async with open_proxy(1, refuse="407 Proxy Authentication Required") as proxy:
        transport = Transport(ca=authority.pem, proxy=url_of(proxy, "user:hunter22@"))
        answer = await ask.url(f"{scheme}://provider.test/v1", transport=transport, api_key=SECRET)

    error = answer.message.error
    assert error is not None
    assert error.kind == {"http": "provider_error", "https": "connection_error"}[scheme]
    assert "hunter22" not in repr(error) + str(error)


async def test_a_proxy_that_is_not_there(ask: Ask) -> None:
    """X04: `connection_error`, which may be tried again, and no password in its text."""
    answer = await ask.url(
        "http://provider.test/v1", transport=Transport(proxy="http://user:hunter22@127.0.0.1:9"), api_key=SECRET
    )

    error = answer.message.error
    assert error is not None
    assert (error.kind, error.retryable) == ("connection_error", True)
    assert "hunter22" not in repr(error) + str(error)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_this_machine_is_never_asked_through_a_proxy_of_the_environment(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, name: str, host: str
) -> None:
    """X05: nothing stands between a program and its own machine; not even a variable that is no URL."""
    async with open_endpoint([Reply(text="hi")] * 2) as endpoint:
        for value in ("http://127.0.0.1:9", "::"):
            monkeypatch.setenv(name, value)
            assert (await ask.url(f"http://{host}:{endpoint.port}/v1")).text == "hi"


async def test_this_machine_is_asked_through_a_proxy_that_was_given(ask: Ask) -> None:
    """X05: who says `Transport.proxy` means it."""
    async with open_endpoint([Reply(text="hi")]) as endpoint, open_proxy(endpoint.port) as proxy:
        assert (await ask.url("http://127.0.0.1:9/v1", transport=Transport(proxy=url_of(proxy)))).text == "hi"
        assert proxy.accepted == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "value",
    [
        "::",
        "http://",
        "http://user:hunter22@",
        "http://u:hunter22@host:99999",
        "socks5://u:hunter22@host",
        "a b",
        "http://ü",
    ],
)
async def test_a_variable_that_is_no_url(ask: Ask, monkeypatch: pytest.MonkeyPatch, scheme: str, value: str) -> None:
    """X06: the same typed error on both engines, the variable named, no credentials in the text."""
    name = f"{scheme.upper()}_PROXY"
    monkeypatch.setenv(name, value)

    answer = await ask.url(f"{scheme}://provider.test/v1", api_key=SECRET)

    error = answer.message.error
    assert error is not None
    assert (error.kind, error.retryable, answer.types) == ("connection_error", False, ["stream_end"])
    assert error.message.startswith(f"{name} is ")
    assert "hunter22" not in repr(error) + str(error)


@pytest.mark.parametrize("proxy", ["", "::", "socks5://host", 3, True])
def test_an_option_that_is_no_url(proxy: object) -> None:
    """X06: refused where it is written."""
    with pytest.raises(SpecError, match=r"Transport\.proxy"):
        Transport(proxy=proxy)  # type: ignore[arg-type]  # as a caller's mistake would have it


def test_no_password_is_shown() -> None:
    """X06: neither by the option nor by the route."""
    transport = Transport(proxy="http://user:hunter22@proxy:3128")

    assert repr(transport) == "Transport(ca=None, proxy='http://proxy:3128')"
    assert "hunter22" not in repr(find_route("https://a.test/", transport, {}))


def proxy_of(url: str, environ: dict[str, str], transport: Transport | None = None) -> str | None:
    """Give the proxy of a URL in an environment."""
    return find_route(url, transport or Transport(), environ).proxy


def test_which_proxy() -> None:
    """X07: small letters win, then the scheme's own; `False` is none; a host and a port are enough."""
    environ = {"HTTPS_PROXY": "big:1", "https_proxy": "small:2", "ALL_PROXY": "all:3"}

    assert proxy_of("https://a.test/", environ) == "http://small:2"
    assert proxy_of("http://a.test/", environ) == "http://all:3"
    assert proxy_of("http://a.test/", environ, Transport(proxy=False)) is None
    assert proxy_of("http://a.test/", environ, Transport(proxy="https://given:4/path")) == "https://given:4"
    assert proxy_of("http://a.test/", {"HTTP_PROXY": " "}) is None
    assert proxy_of("http://[::1]/", environ) is None


def test_a_variable_that_a_web_server_set() -> None:
    """X07: `HTTP_PROXY` may be a header `Proxy` of somebody's request."""
    assert proxy_of("http://a.test/", {"HTTP_PROXY": "evil:1", "REQUEST_METHOD": "GET"}) is None
    assert proxy_of("http://a.test/", {"http_proxy": "good:1", "REQUEST_METHOD": "GET"}) == "http://good:1"


@pytest.mark.parametrize(
    ("host", "port", "exceptions", "excepted"),
    [
        ("a.test", 443, "*", True),
        ("a.test", 443, "", False),
        ("a.test", 443, "b.test, a.test", True),
        ("x.a.test", 443, "a.test", True),
        ("x.a.test", 443, ".a.test", True),
        ("x.a.test", 443, "*.a.test", True),
        ("xa.test", 443, "a.test", False),
        ("a.test", 443, "A.TEST:443", True),
        ("a.test", 80, "a.test:443", False),
        ("10.1.2.3", 80, "10.0.0.0/8", True),
        ("10.1.2.3", 80, "10.1.2.3", True),
        ("10.1.2.3", 80, "10.1.2.3:80", True),
        ("10.1.2.3", 80, "10.1.2.3:81", False),
        ("11.1.2.3", 80, "10.0.0.0/8,a.test", False),
        ("fd00::1", 80, "fd00::/8", True),
        ("fd00::1", 80, "[fd00::1]:80", True),
    ],
)
def test_exceptions(host: str, port: int, exceptions: str, *, excepted: bool) -> None:
    """X08: `NO_PROXY` names hosts, domains, addresses and networks."""
    assert is_excepted(host, port, exceptions) is excepted
    where = f"[{host}]" if ":" in host else host
    expected = None if excepted else "http://proxy:1"
    assert proxy_of(f"http://{where}:{port}/", {"ALL_PROXY": "proxy:1", "NO_PROXY": exceptions}) == expected


def test_routes_are_values() -> None:
    """X08: who named the certificates makes no other connections; what is read from the environment does."""
    by_file = find_route("https://a.test/", Transport(), {"SSL_CERT_FILE": "/ca", "SSL_CERT_DIR": "/b:/c"})

    assert by_file == Route(None, ("/ca", "/b", "/c"))
    assert by_file.roots_named == "SSL_CERT_FILE and SSL_CERT_DIR"
    assert find_route("http://a.test/", Transport(ca="/ca"), {}) == Route()
    with pytest.raises(ProviderError, match="HTTPS_PROXY is not a URL"):
        find_route("https://a.test/", Transport(), {"HTTPS_PROXY": "::"})
