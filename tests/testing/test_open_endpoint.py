"""The fake endpoint over real HTTP: what it answers, what it counts, how it ends."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import httpx
import orjson
import pytest
import trio

from tinyagent_actors._errors import SpecError
from tinyagent_actors.testing import (
    Answered,
    CallSpec,
    ChatRequest,
    Cut,
    Delivery,
    Endpoint,
    Limits,
    Reply,
    Script,
    Stall,
    open_endpoint,
)

QUESTION: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": True}


async def ask(client: httpx.AsyncClient, endpoint: Endpoint, **members: Any) -> httpx.Response:
    """Ask for a completion."""
    return await client.post(f"{endpoint.url}/chat/completions", json={**QUESTION, **members})


def text_of(response: httpx.Response) -> str:
    """Join the text of a streamed answer."""
    data = [line[6:] for line in response.text.split("\n") if line.startswith("data: {")]
    choices = [choice for item in data for choice in orjson.loads(item)["choices"]]
    return "".join(choice["delta"].get("content", "") for choice in choices)


async def test_replies_come_in_order_over_one_connection(client: httpx.AsyncClient) -> None:
    """A list is served a reply a request; the connection is kept between them."""
    async with open_endpoint([Reply(text="one"), Reply(text="two")]) as endpoint:
        texts = [text_of(await ask(client, endpoint)) for _ in range(2)]

    assert texts == ["one", "two"]
    assert endpoint.statistics().accepted == 1
    assert [request.connection for request in endpoint.requests] == [1, 1]


async def test_a_spent_script_says_so(client: httpx.AsyncClient) -> None:
    """A request more than there are replies gets a 500 of the type `script_spent`."""
    async with open_endpoint([Reply()]) as endpoint:
        await ask(client, endpoint)
        response = await ask(client, endpoint)

    assert response.status_code == 500
    assert response.json()["error"]["type"] == "script_spent"
    assert "it had 1 replies" in response.json()["error"]["message"]


async def test_a_policy_may_be_plain_or_async(client: httpx.AsyncClient) -> None:
    """A function from the conversation to a reply drives the endpoint, waiting or not."""

    async def later(request: ChatRequest) -> Reply:
        await trio.lowlevel.checkpoint()
        return Reply(text=f"{request.user_text}, {request.model}")

    async with open_endpoint(lambda request: Reply(text=request.user_text.upper())) as endpoint:
        assert text_of(await ask(client, endpoint)) == "HELLO"
        endpoint.use(later)
        assert text_of(await ask(client, endpoint)) == "hello, m"


async def test_a_request_without_stream_gets_one_object(client: httpx.AsyncClient) -> None:
    """`stream: false` is answered with a completion, as JSON."""
    async with open_endpoint([Reply(tool_calls=[CallSpec("f")])]) as endpoint:
        response = await ask(client, endpoint, stream=False)

    assert response.headers["content-type"] == "application/json"
    assert response.json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "f"


async def test_a_policy_that_raises_is_an_answer_and_is_kept(client: httpx.AsyncClient) -> None:
    """What a policy raises is a 500 for the client, stands in `errors`, and comes out of `check`; the endpoint goes on."""
    failure = LookupError("no such share")

    def policy(request: ChatRequest) -> Reply:
        if request.user_text == "hello":
            raise failure
        return "text"  # type: ignore[return-value]  # wrong on purpose

    async with open_endpoint(policy) as endpoint:
        raised = await ask(client, endpoint)
        wrong = await ask(client, endpoint, messages=[{"role": "user", "content": "bye"}])

    assert (raised.status_code, wrong.status_code) == (500, 500)
    assert raised.json()["error"]["message"] == "the policy raised LookupError: no such share"
    assert endpoint.errors[0] is failure
    with pytest.raises(ExceptionGroup) as caught:
        endpoint.check()
    assert len(caught.value.exceptions) == 2


async def test_no_credential_is_in_an_error(client: httpx.AsyncClient) -> None:
    """A key in the words of an exception does not reach the client."""
    key = "sk-" + "a1b2c3d4" * 4

    def policy(_request: ChatRequest) -> Awaitable[Reply]:
        raise RuntimeError(key)

    async with open_endpoint(policy) as endpoint:
        response = await ask(client, endpoint)

    assert response.status_code == 500
    assert key not in response.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "unknown_url"),
        ("POST", "/", 404, "unknown_url"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
    ],
)
async def test_wrong_requests_get_the_errors_of_a_provider(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    """A path that is not known is a 404, another method a 405 that says which is allowed."""
    async with open_endpoint([Reply()]) as endpoint:
        response = await client.request(method, endpoint.origin + path)

    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert ("allow" in response.headers) is (status == 405)


@pytest.mark.parametrize(
    ("body", "param"), [(b"{", "body"), (b"[]", "body"), (b"{}", "messages"), (b'{"messages":[1]}', "messages[0]")]
)
async def test_a_body_that_is_no_request_is_refused(client: httpx.AsyncClient, body: bytes, param: str) -> None:
    """A body that is not JSON, or no conversation, is a 400 that names the member; no reply is used up."""
    async with open_endpoint([Reply(text="left")]) as endpoint:
        response = await client.post(f"{endpoint.url}/chat/completions", content=body)
        after = await ask(client, endpoint)

    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert text_of(after) == "left"


async def test_pages_beside_the_completions(client: httpx.AsyncClient) -> None:
    """``/healthz`` and ``/v1/models`` answer GET and HEAD; any path that ends as the dialect's is its own."""
    async with open_endpoint([Reply(text="azure")], model="tiny") as endpoint:
        health = await client.get(f"{endpoint.origin}/healthz")
        models = await client.get(f"{endpoint.url}/models")
        head = await client.head(f"{endpoint.url}/models")
        deployed = await client.post(
            f"{endpoint.origin}/openai/deployments/x/chat/completions?api-version=1", json=QUESTION
        )

    assert health.json() == {"status": "ok"}
    assert [model["id"] for model in models.json()["data"]] == ["tiny"]
    assert (head.status_code, head.content) == (200, b"")
    assert text_of(deployed) == "azure"


async def test_a_key_can_be_demanded(client: httpx.AsyncClient) -> None:
    """With `api_key` a request without it, or with another, is a 401; health needs none."""
    async with open_endpoint([Reply(text="in")], api_key="open-sesame") as endpoint:
        url = f"{endpoint.url}/chat/completions"
        without = await client.post(url, json=QUESTION)
        wrong = await client.post(url, json=QUESTION, headers={"authorization": "Bearer no"})
        right = await client.post(url, json=QUESTION, headers={"authorization": "Bearer open-sesame"})
        health = await client.get(f"{endpoint.origin}/healthz")

    assert [without.status_code, wrong.status_code, right.status_code, health.status_code] == [401, 401, 200, 200]
    assert "open-sesame" not in repr(endpoint)


async def test_requests_are_recorded_within_bounds(client: httpx.AsyncClient) -> None:
    """The newest requests are kept, bounded by their number and by the bytes of their bodies."""
    async with open_endpoint(lambda _request: Reply(), limits=Limits(recorded=3, recorded_bytes=2000)) as endpoint:
        for number in range(5):
            await ask(client, endpoint, user=str(number))
        assert [request.json["user"] for request in endpoint.requests] == ["2", "3", "4"]
        await ask(client, endpoint, user="x" * 1880)
        assert [len(request.json["user"]) for request in endpoint.requests] == [1880]
        await ask(client, endpoint, user="x" * 3000)

    assert endpoint.requests == ()


async def test_reset_begins_anew(client: httpx.AsyncClient) -> None:
    """`reset` forgets requests, counters and errors and takes a new script; `enqueue` adds to it."""
    async with open_endpoint([Reply(fault=Cut(after_chunks=99))]) as endpoint:
        assert (await ask(client, endpoint)).status_code == 500
        assert len(endpoint.errors) == 1
        endpoint.reset([Reply(text="a")])
        endpoint.enqueue(Reply(text="b"))
        texts = [text_of(await ask(client, endpoint)) for _ in range(2)]

    assert texts == ["a", "b"]
    assert endpoint.errors == ()
    assert endpoint.statistics().requests == endpoint.statistics().served == 2


async def test_a_policy_takes_no_further_replies() -> None:
    """`enqueue` on an endpoint that a policy drives is an error, and so is what is neither list nor policy."""
    async with open_endpoint(Script([], repeat=True)) as endpoint:
        endpoint.enqueue(Reply())
        endpoint.use(lambda _request: Reply())
        with pytest.raises(SpecError):
            endpoint.enqueue(Reply())
        with pytest.raises(SpecError):
            endpoint.use(3)  # type: ignore[arg-type]  # refused at run time
        with pytest.raises(SpecError, match=r"replies\[0\]"):
            endpoint.use(["text"])  # type: ignore[list-item]  # refused at run time


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])  # noqa: S104  # refused
async def test_nothing_but_loopback_is_bound_unasked(host: str) -> None:
    """An address that others can reach, or a name, is refused before anything is bound."""
    with pytest.raises(SpecError) as caught:
        async with open_endpoint(host=host):
            pass

    assert caught.value.field == "host"


async def test_a_wider_address_can_be_asked_for(client: httpx.AsyncClient) -> None:
    """With `allow_remote` any address may be bound; ``localhost`` is 127.0.0.1."""
    async with open_endpoint([Reply()], host="0.0.0.0", allow_remote=True) as endpoint:  # noqa: S104  # that is the test
        assert (await client.get(f"http://127.0.0.1:{endpoint.port}/healthz")).status_code == 200
    async with open_endpoint(host="localhost") as endpoint:
        assert endpoint.url == f"http://127.0.0.1:{endpoint.port}/v1"


async def test_a_port_in_use_is_an_oserror() -> None:
    """A port that is taken is the system's own error, not wrapped in a group."""
    async with open_endpoint() as endpoint:
        with pytest.raises(OSError, match=r"in use|address"):
            async with open_endpoint(port=endpoint.port):
                pass


async def test_an_error_of_the_block_passes_unwrapped() -> None:
    """What the block raises comes out as it is; the port is free afterwards."""
    with pytest.raises(LookupError):
        async with open_endpoint() as endpoint:
            raise LookupError
    async with open_endpoint(port=endpoint.port):
        pass


async def test_leaving_the_block_ends_every_answer(client: httpx.AsyncClient, nursery: trio.Nursery) -> None:
    """Answers in progress are broken off when the block is left, also by a cancel; nothing listens afterwards."""
    errors: list[httpx.TransportError] = []

    async def wait_for_ever(endpoint: Endpoint) -> None:
        try:
            await ask(client, endpoint)
        except httpx.TransportError as error:
            errors.append(error)

    with trio.CancelScope() as scope:
        async with open_endpoint(Script([Reply(fault=Stall(after_chunks=1))], repeat=True)) as endpoint:
            for _ in range(3):
                nursery.start_soon(wait_for_ever, endpoint)
            await endpoint.wait_for(lambda now: now.open_streams == 3)
            scope.cancel()
            await trio.sleep_forever()
    with pytest.raises(OSError, match="connect"):
        await trio.open_tcp_stream("127.0.0.1", endpoint.port)
    with trio.fail_after(5):
        while len(errors) < 3:
            await trio.lowlevel.checkpoint()

    assert endpoint.statistics().connections == 0


async def test_waiting_for_a_condition_can_be_cancelled() -> None:
    """`wait_for` gives the counters that satisfied it; cancelled, it leaves nothing behind."""
    async with open_endpoint() as endpoint:
        assert (await endpoint.wait_for(lambda now: now.requests == 0)).requests == 0
        with trio.CancelScope() as scope:
            scope.cancel()
            await endpoint.wait_for(lambda now: now.requests == 1)

        assert scope.cancelled_caught
        assert endpoint._server.changes.statistics().tasks_waiting == 0


async def test_the_end_of_each_request_is_told(client: httpx.AsyncClient) -> None:
    """`on_answer` hears of every request when the work on it has ended; what it raises is kept, and fails nothing."""
    told: list[Answered] = []

    def hear(answered: Answered) -> None:
        told.append(answered)
        raise LookupError

    async with open_endpoint([Reply(text="a"), Reply(fault=Cut(after_bytes=5))], on_answer=hear) as endpoint:
        await ask(client, endpoint)
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(client, endpoint)
        await endpoint.wait_for(lambda now: now.faulted == 1)

    assert [(item.status, item.outcome, item.request.number) for item in told] == [
        (200, "served", 1),
        (200, "faulted", 2),
    ]
    assert told[0].sent > told[1].sent > 0
    assert len(endpoint.errors) == 2


async def test_two_hundred_clients_at_once(client: httpx.AsyncClient) -> None:
    """200 streams are open at once, and all of them are served to the end."""
    gate = trio.Event()

    async def policy(request: ChatRequest) -> Reply:
        await gate.wait()
        return Reply(text=request.user_text * 20, delivery=Delivery(coalesce=False))

    texts: list[str] = []

    async def one(endpoint: Endpoint, number: int) -> None:
        texts.append(text_of(await ask(client, endpoint, messages=[{"role": "user", "content": f"{number};"}])))

    with trio.fail_after(60):
        async with open_endpoint(policy) as endpoint, trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(one, endpoint, number)
            await endpoint.wait_for(lambda now: now.open_streams == 200)
            gate.set()

    assert sorted(texts) == sorted(f"{number};" * 20 for number in range(200))
    now = endpoint.statistics()
    assert (now.requests, now.served, now.disconnects, now.open_streams) == (200, 200, 0, 0)


async def test_one_long_answer_holds_up_nobody(client: httpx.AsyncClient) -> None:
    """While a client is given many megabytes, others are answered."""

    def policy(request: ChatRequest) -> Reply:
        return (
            Reply(chunks=[b"data: " + b"x" * 60_000 + b"\n\n"] * 1000)
            if request.model == "long"
            else Reply(text="short")
        )

    async with open_endpoint(policy) as endpoint:
        url = f"{endpoint.url}/chat/completions"
        async with client.stream("POST", url, json={**QUESTION, "model": "long"}) as response:
            pieces = response.aiter_raw()
            await anext(pieces)
            for _ in range(20):
                assert text_of(await ask(client, endpoint)) == "short"
            assert endpoint.statistics().open_streams == 1
            async for _ in pieces:
                pass

        assert (await endpoint.wait_for(lambda now: now.open_streams == 0)).served == 21


async def test_the_fixture_is_an_open_endpoint(fake_endpoint: Endpoint, client: httpx.AsyncClient) -> None:
    """The fixture gives an endpoint with an empty script, to which a test adds."""
    fake_endpoint.enqueue(Reply(text="from the fixture"))

    assert text_of(await ask(client, fake_endpoint)) == "from the fixture"
