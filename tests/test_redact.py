"""Redaction: what counts as free of marks really is."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyagent_actors._redact import _RULES, REDACTED, is_free_of_marks, is_secret_name, redact

NAMES = [
    "authorization",
    "Cookie",
    "credentials",
    "PASSWORD",
    "passwd",
    "passphrase",
    "PWD",
    "client.secret",
]
NAMES += [
    "apiKey",
    "x-api-key",
    "access_key",
    "encryption-key",
    "privateKeys",
    "signing_key",
    "token",
    "idToken",
    "sessionToken",
]
DISGUISES = str.maketrans({"s": "\u017f", "k": "\u212a", "i": "\u0130"})

words = st.one_of(
    st.sampled_from(
        [*_RULES, *NAMES, "sk-", "=", ": ", '"', "\\", "\n", "abcdEFGH1234567890", "total_tokens", "r8_", "é"]
    ),
    st.text(max_size=4),
)
texts = st.lists(words, max_size=6).map("".join)
disguised = st.one_of(texts, texts.map(str.upper), texts.map(lambda text: text.translate(DISGUISES)))
values = st.recursive(
    st.one_of(disguised, st.none(), st.integers(-9, 9)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(disguised, inner, max_size=3)),
    max_leaves=8,
)


@given(values)
def test_what_is_free_of_marks_holds_nothing_to_redact(value: Any) -> None:
    """Told from the JSON text alone, and never wrongly: whatever case, escapes or letters from beyond ASCII do to a mark."""
    assert not is_free_of_marks(orjson.dumps(value)) or redact(value) == value


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_name_is_a_mark(name: str) -> None:
    """A member whose value is to go is seen, also where the value itself has no look of a secret."""
    record = {"details": {name: "plain"}}

    assert is_secret_name(name)
    assert redact(record) == {"details": {name: REDACTED}}
    assert not is_free_of_marks(orjson.dumps(record))


@pytest.mark.parametrize("mark", _RULES)
@pytest.mark.parametrize("around", ["{}", "x{}y", "-{}-", "a\n{}"])
def test_every_mark_is_seen(mark: str, around: str) -> None:
    """Wherever it stands, and in whatever case."""
    assert not is_free_of_marks(orjson.dumps(around.format(mark)))
    assert not is_free_of_marks(orjson.dumps(around.format(mark.upper())))


def test_the_counters_of_every_answer_are_no_mark() -> None:
    """Else no message of a model would ever be free of marks."""
    assert is_free_of_marks(b'{"input":1,"output":2,"total_tokens":3}')
    assert not is_free_of_marks(b'{"total_tokens":3,"token":"x"}')


def test_an_ordinary_text_is_free_of_marks() -> None:
    """Also one beyond ASCII, if none of its letters can be read as one of ASCII."""
    text = "die Größe der Datei, 日本語, ΑΒΓ, 12.5 % of a/b/c.txt " * 100

    assert is_free_of_marks(orjson.dumps(text))
    assert not is_free_of_marks(orjson.dumps(text + "\u212a"))
