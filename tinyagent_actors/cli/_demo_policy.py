"""The demo's model: a policy that reads its share from the prompt and surveys it, a batch of files a turn."""

from __future__ import annotations

from typing import Any, Final

import attrs
import orjson

from tinyagent_actors.testing import CallSpec, ChatRequest, Reply

BATCH: Final = 150
"""Calls a turn. More would mean fewer requests, and a longer stop: every call in flight is ended and told of."""

SYSTEM_PROMPT: Final = (
    "You survey files. The user gives you a share: a JSON object with its number and a list of paths. Call the tool "
    "`survey_file` once for every path, exactly as it is written, many calls in one answer. If the share says "
    "`ask_librarian`, call that tool once, too, in your first answer. When every path has its result, answer with one "
    "line that says how many files you surveyed."
)


@attrs.frozen
class Share:
    """Some of the files, as the lead hands them to a reader."""

    number: int
    paths: tuple[str, ...]
    ask_librarian: bool = False
    """Whether the reader is to call the tool that hangs, too."""

    def to_prompt(self) -> str:
        """Give the prompt that hands it over."""
        librarian = {"ask_librarian": True} if self.ask_librarian else {}
        return orjson.dumps({"share": self.number, "paths": self.paths, **librarian}).decode()


@attrs.frozen
class SurveyPolicy:
    """Answers a reader's requests as a well-behaved model would.

    How far it has come is read from the conversation, so that one policy serves any number of readers, and one that starts
    fresh begins anew.
    """

    batch: int = BATCH

    def __call__(self, request: ChatRequest, /) -> Reply:
        """Give the next batch of calls, or the last word."""
        share: dict[str, Any] = orjson.loads(request.user_text)
        surveyed = sum(call.name == "survey_file" for call in request.calls)
        paths = share["paths"][surveyed : surveyed + self.batch]
        if not paths:
            return Reply(text=f"Surveyed {surveyed} files.", chunk_size=None)
        calls = [CallSpec(name="survey_file", arguments={"path": path}) for path in paths]
        if surveyed == 0 and share.get("ask_librarian"):
            calls.append(CallSpec(name="ask_librarian", arguments={}))
        return Reply(tool_calls=tuple(calls), chunk_size=None)
