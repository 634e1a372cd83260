"""Recovery: what a run does when its context does not fit. See `_compaction` for the design."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import attrs

from tinyagent_actors._errors import CompactionError, HookError, ProviderError, TinyAgentError
from tinyagent_actors.actors import as_fact
from tinyagent_actors.agents._compaction import MOST, PROGRESS, Compaction, size_of
from tinyagent_actors.agents._estimate import estimate_input
from tinyagent_actors.agents._metered_call import bounded
from tinyagent_actors.agents._repair import repaired
from tinyagent_actors.events import ContextCompactedEvent
from tinyagent_actors.messages import AssistantMessage, Context, Message

if TYPE_CHECKING:
    from tinyagent_actors.agents._run import Run


@attrs.define(eq=False)
class Recovery:
    """An agent's compaction, and whether it is due; kept across its restarts."""

    compaction: Compaction
    is_due: bool = attrs.field(default=False, init=False)
    _in_a_row: int = attrs.field(default=0, init=False)

    def hear(self, answer: AssistantMessage) -> bool:
        """Hear of an answer; whether the request is to be made again, because the context was too long for it."""
        if answer.error is None:
            self._in_a_row = 0
            return False
        if answer.error.kind == "context_overflow":
            self.is_due = True
        return self.is_due

    async def compact(self, run: Run) -> ProviderError | None:
        """Make the transcript of a run shorter, if that is due. Cancelling it leaves the transcript as it was, and it stays due.

        Returns:
            What the provider did wrong when it was asked for help; None if all is well.

        Raises:
            CompactionError: It did not get shorter, or not short enough, again and again.
            HookError: The compaction raised.
        """
        if not self.is_due:
            return None
        if self._in_a_row == MOST:
            raise CompactionError(f"{MOST} compactions in a row were not enough")
        self._in_a_row += 1
        before = repaired(run.transcript)
        try:
            after = tuple(await self.compaction(before, partial(_ask, run)))
        except ProviderError as error:
            self._in_a_row -= 1
            return error
        except TinyAgentError:
            raise
        except Exception as error:
            raise HookError("compaction", as_fact(error)) from error
        was, size = size_of(before), size_of(after)
        if size > PROGRESS * was:
            raise CompactionError(f"{size} bytes are left of {was}, which is no progress")
        self.is_due = False
        # What was told of usage counted the longer context, and would count in the estimates of the next requests.
        run.replace_transcript([attrs.evolve(m, usage=None) if isinstance(m, AssistantMessage) else m for m in after])
        tokens, were = _tokens(run, after), _tokens(run, before)
        run.publish(ContextCompactedEvent, messages=len(after), was=len(before), tokens=tokens, were=were)
        return None


async def _ask(run: Run, context: Context, max_tokens: int) -> AssistantMessage:
    call = bounded(run.config.call, max_tokens)
    async with call(run.config.model, context, run.publish) as stream:
        while await stream.next_events():
            pass
        return await stream.result()


def _tokens(run: Run, messages: Sequence[Message]) -> int:
    plain = [attrs.evolve(m, usage=None) if isinstance(m, AssistantMessage) else m for m in messages]
    return estimate_input(Context(run.config.system_prompt, plain, run.config.definitions))
