"""Where a request goes and what it says of the sender."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tinyagent_actors._errors import ProviderError, SpecError
from tinyagent_actors.messages import Model
from tinyagent_actors.providers._endpoint import Endpoint, find_key, is_loopback_host, is_private_host, resolve_endpoint
from tinyagent_actors.providers._options import StreamLimits, StreamOptions, Timeouts

SECRET = "sk-very-secret-0123456789"


def resolve(
    model: Model,
    options: StreamOptions | None = None,
    key: str | None = SECRET,
    environ: Mapping[str, str] | None = None,
) -> Endpoint:
    return resolve_endpoint(model, options or StreamOptions(), key, environ or {})


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://host.example/v1", "https://host.example/v1/chat/completions"),
        ("https://host.example/v1/", "https://host.example/v1/chat/completions"),
        ("https://host.example", "https://host.example/chat/completions"),
        ("https://host.example/v1/chat/completions", "https://host.example/v1/chat/completions"),
        ("https://host.example/v1/chat/completions/", "https://host.example/v1/chat/completions"),
        (
            "https://n.openai.azure.com/openai/deployments/d/chat/completions?api-version=1",
            "https://n.openai.azure.com/openai/deployments/d/chat/completions?api-version=1",
        ),
        ("https://host.example/v1?api-version=1", "https://host.example/v1/chat/completions?api-version=1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1/chat/completions"),
    ],
)
def test_path_of_the_base_url_is_completed_and_its_query_kept(base_url: str, url: str) -> None:
    """A base URL that ends in the operation is used as it is; else the operation is appended, before the query."""
    assert resolve(Model("m", base_url=base_url)).url == url


def test_base_url_comes_from_the_model_then_the_environment_then_the_table() -> None:
    """The model's base URL goes before the environment's, and that before the provider's own."""
    environ = {"OPENROUTER_BASE_URL": "http://127.0.0.1:9/v1"}

    assert resolve(Model("m", base_url="http://127.0.0.1:8/v1"), environ=environ).url.startswith("http://127.0.0.1:8/")
    assert resolve(Model("m"), environ=environ).url.startswith("http://127.0.0.1:9/")
    assert resolve(Model("m")).url == "https://openrouter.ai/api/v1/chat/completions"


def test_a_provider_that_is_not_known_takes_its_variables_from_its_name() -> None:
    """`my-gate` reads MY_GATE_BASE_URL; without it nobody knows where it lives, and the error says so."""
    environ = {"MY_GATE_BASE_URL": "https://gate.example/v1"}

    assert resolve(Model("m", provider="my-gate"), environ=environ).url == "https://gate.example/v1/chat/completions"
    with pytest.raises(SpecError, match="MY_GATE_BASE_URL"):
        resolve(Model("m", provider="my-gate"))


@pytest.mark.parametrize(
    "base_url",
    [
        "ftp://host.example",
        "host.example/v1",
        "http://",
        "http://host:port/",
        "http://a b/",
        "http://host\n/",
        "http://h:0/",
    ],
)
def test_a_base_url_that_is_none_is_refused(base_url: str) -> None:
    """What is not an http or https URL with a host raises SpecError with the field's name."""
    with pytest.raises(SpecError, match=r"Model\.base_url"):
        resolve(Model("m", base_url=base_url))


def test_a_base_url_with_a_password_is_refused_without_showing_it() -> None:
    """Credentials in the URL are refused, and the error does not repeat them."""
    with pytest.raises(SpecError) as caught:
        resolve(Model("m", base_url=f"https://user:{SECRET}@host.example/v1"))

    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_the_key_goes_as_bearer() -> None:
    """The usual way to say who asks."""
    assert dict(resolve(Model("m")).headers)["authorization"] == f"Bearer {SECRET}"


def test_azure_takes_the_key_in_a_header_of_its_own_and_a_token_as_bearer() -> None:
    """Azure's keys go as `api-key`, Entra tokens (JSON Web Tokens) as Bearer, whatever the provider is called."""
    azure = Model("m", provider="azure", base_url="https://gate.example/openai/v1")
    by_host = Model("m", provider="custom", base_url="https://n.openai.azure.com/openai/v1")

    assert dict(resolve(azure).headers)["api-key"] == SECRET
    assert dict(resolve(by_host).headers)["api-key"] == SECRET
    assert "authorization" not in dict(resolve(azure).headers)
    assert dict(resolve(azure, key="eyJhbGciOi").headers)["authorization"] == "Bearer eyJhbGciOi"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.1.2.3", "192.168.0.2", "[::1]", "ollama", "box.local"])
def test_without_a_key_a_private_host_is_asked_without_authorization(host: str) -> None:
    """No key on this machine or in a private network: no Authorization header."""
    headers = dict(resolve(Model("m", base_url=f"http://{host}:8000/v1"), key=None).headers)

    assert headers.keys().isdisjoint({"authorization", "api-key", "x-api-key"})


@pytest.mark.parametrize("host", ["api.example.com", "8.8.8.8", "[2001:4860:4860::8888]", "localhost.example.com"])
def test_without_a_key_any_other_host_is_an_auth_error(host: str) -> None:
    """No key elsewhere: `auth`, which names the variable that would help."""
    with pytest.raises(ProviderError, match="OPENROUTER_API_KEY") as caught:
        resolve(Model("m", base_url=f"https://{host}/v1"), key=None)

    assert (caught.value.kind, caught.value.retryable) == ("auth", False)


def test_a_credential_among_the_headers_takes_the_place_of_a_key() -> None:
    """Whoever gives an Authorization header needs no key, and it is not overwritten by one."""
    model = Model("m", headers={"Authorization": "Token mine"})

    assert dict(resolve(model, key=None).headers)["authorization"] == "Token mine"
    assert dict(resolve(model).headers)["authorization"] == "Token mine"


def test_headers_of_the_options_win_over_those_of_the_model() -> None:
    """Names are compared without case; each is sent once."""
    model = Model("m", headers={"X-Title": "model", "x-one": "1"})

    names = [name for name, _ in resolve(model, StreamOptions(headers={"x-title": "option"})).headers]
    headers = dict(resolve(model, StreamOptions(headers={"x-title": "option"})).headers)

    assert (headers["x-title"], headers["x-one"]) == ("option", "1")
    assert len(names) == len(set(names))


def test_a_key_that_no_header_can_carry_is_an_auth_error_that_does_not_show_it() -> None:
    """A line feed inside of a key never becomes a header."""
    with pytest.raises(ProviderError) as caught:
        resolve(Model("m"), key="sk-bad\nkey-0123456789")

    assert caught.value.kind == "auth"
    assert "0123456789" not in str(caught.value)


@pytest.mark.parametrize(
    "headers", [{"Host": "x"}, {"a b": "x"}, {"x": "a\r\nb"}, {"Accept-Encoding": "gzip"}, {"": "x"}]
)
def test_headers_that_cannot_be_sent_are_refused(headers: dict[str, str]) -> None:
    """Neither the model's nor the options' headers may break the request; the error names the header."""
    with pytest.raises(SpecError, match=r"Model\.headers"):
        resolve(Model("m", headers=headers))
    with pytest.raises(SpecError, match=r"StreamOptions\.headers"):
        StreamOptions(headers=headers)


def test_no_credential_in_any_repr() -> None:
    """Keys and headers stand in no repr, and neither does a query."""
    model = Model("m", base_url=f"https://host.example/v1?key={SECRET}", headers={"X-Secret": SECRET})
    options = StreamOptions(api_key=SECRET, headers={"X-Other": SECRET})

    assert SECRET not in repr(options)
    assert SECRET not in repr(resolve(model, options))


async def test_key_comes_from_the_option_then_from_the_environment() -> None:
    """A string, a function, an awaitable function; where they give nothing, the environment by provider."""

    async def later(provider: str) -> str | None:
        return f"later-{provider}"

    environ = {"OPENROUTER_API_KEY": " from-environment\n", "GROQ_API_KEY": "groq"}
    model = Model("m")

    assert await find_key(model, StreamOptions(api_key=" given "), environ) == "given"
    assert await find_key(model, StreamOptions(api_key=lambda provider: f"of-{provider}"), environ) == "of-openrouter"
    assert await find_key(model, StreamOptions(api_key=later), environ) == "later-openrouter"
    assert await find_key(model, StreamOptions(api_key=lambda _: None), environ) == "from-environment"
    assert await find_key(model, StreamOptions(api_key="  "), environ) == "from-environment"
    assert await find_key(Model("m", provider="groq"), StreamOptions(), environ) == "groq"
    assert await find_key(Model("m", provider="other"), StreamOptions(), environ) is None


async def test_a_callable_that_gives_no_string_is_a_mistake_of_the_caller() -> None:
    """It raises SpecError, not an error of the provider."""
    with pytest.raises(SpecError, match="api_key"):
        await find_key(Model("m"), StreamOptions(api_key=lambda _: 3), {})  # type: ignore[arg-type,return-value]  # on purpose


def test_hosts_are_judged_by_their_names() -> None:
    """Loopback is this machine; private is what no outsider can be."""
    assert [
        host
        for host in ("localhost", "127.8.8.8", "::1", "::ffff:127.0.0.1", "a.localhost")
        if not is_loopback_host(host)
    ] == []
    assert [host for host in ("10.0.0.1", "example.com", "8.8.8.8", "::2") if is_loopback_host(host)] == []
    assert is_private_host("100.64.0.1")
    assert not is_private_host("example.com")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"engine": "curl"}, "StreamOptions.engine"),
        ({"temperature": float("nan")}, "StreamOptions.temperature"),
        ({"temperature": -1}, "StreamOptions.temperature"),
        ({"temperature": True}, "StreamOptions.temperature"),
        ({"max_tokens": 0}, "StreamOptions.max_tokens"),
        ({"max_tokens": 1.5}, "StreamOptions.max_tokens"),
        ({"thinking": "much"}, "StreamOptions.thinking"),
        ({"retries": -1}, "StreamOptions.retries"),
        ({"max_retry_wait": 0}, "StreamOptions.max_retry_wait"),
        ({"think_tags": "yes"}, "StreamOptions.think_tags"),
        ({"timeouts": 3}, "StreamOptions.timeouts"),
        ({"limits": None}, "StreamOptions.limits"),
        ({"api_key": 3}, "StreamOptions.api_key"),
        ({"api_key": "a\nb"}, "StreamOptions.api_key"),
    ],
)
def test_a_wrong_option_is_refused_with_the_name_of_its_field(fields: dict[str, object], name: str) -> None:
    """Options are checked where they are written."""
    with pytest.raises(SpecError) as caught:
        StreamOptions(**fields)  # type: ignore[arg-type]  # on purpose

    assert caught.value.field == name


def test_wrong_timeouts_and_limits_are_refused() -> None:
    """Seconds are above 0 or None; limits are whole numbers above 0."""
    for wrong in (0, -1, "3", True, float("nan")):
        with pytest.raises(SpecError, match=r"Timeouts\.idle"):
            Timeouts(idle=wrong)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(SpecError, match=r"StreamLimits\.event_bytes"):
        StreamLimits(event_bytes=0)
