"""An agent as an actor: two tasks, its mailbox and its run.

The mailbox task pulls one prompt at a time, so that work waits in the bounded mailbox and nowhere else; while a run goes on it
reads the control lane only. An ask's answer is the run's; a run that was asked for gives its outcome to the asker and
the agent lives, a run that was told ends the agent if it ended in an error, and supervision decides. An asker that
goes away cancels its run. A stop is an interrupt of the run, so that neither a hanging model nor a hanging tool holds it.

Steering and follow-ups go past the mailbox: a ref puts them straight into the incarnation's own bounded queues, so that work never
keeps them waiting, a full queue is told at once, and none can lie unread in a lane that a restart empties. Each has a receipt with one
outcome. The run takes them where it may (before a request; where it would stop) and settles them as it appends them, in one step, so
that no cancel comes between. What is left in the queues when the run is over, or the incarnation, is given back there and then.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import attrs
import trio

from tinyagent_actors._errors import BudgetExceededError, DepthLimitError, SpecError, TinyAgentError, ValueShapeError
from tinyagent_actors.actors import ActorContext, CancelCause, Hold, ReplySlot
from tinyagent_actors.agents._account import Account, watched
from tinyagent_actors.agents._budget import UNLIMITED, Budget
from tinyagent_actors.agents._crew import Crew
from tinyagent_actors.agents._lease import Lease
from tinyagent_actors.agents._ledger import ledger_of
from tinyagent_actors.agents._memory import Memory
from tinyagent_actors.agents._message_queue import MessageQueue
from tinyagent_actors.agents._metered_call import MeteredCall, need_of
from tinyagent_actors.agents._prompt import Interrupt, Prompt, RunOver, Spent
from tinyagent_actors.agents._receipt import Receipt, returned
from tinyagent_actors.agents._recovery import Recovery
from tinyagent_actors.agents._run import Run, RunConfig
from tinyagent_actors.agents._run_clocks import clocks_of_asker
from tinyagent_actors.agents._stream_call import ProviderCall
from tinyagent_actors.agents._transcript import to_messages
from tinyagent_actors.events import AgentResumedEvent
from tinyagent_actors.messages import AssistantMessage, Context, Message, UserMessage

OnRestart: TypeAlias = Literal["resume", "fresh"]
MOST_TRIES: Final = 5
"""How often an agent that resumes begins what it was told, at most: then that is a dead letter."""
UNHEARD: Final = ("connection_error", "rate_limited", "overloaded")
"""Kinds of errors with which a provider has heard nothing, or nothing that it charges for: they count as no try."""


@attrs.define(eq=False)
class AgentActor:
    """The state of one incarnation of an agent."""

    _context: ActorContext
    _config: RunConfig
    _budget: Budget = attrs.field(default=UNLIMITED, kw_only=True)
    _on_restart: OnRestart = attrs.field(default="resume", kw_only=True)
    memory: Memory = attrs.field(init=False, repr=False)
    """What it keeps across restarts, if it resumes."""
    run: Run | None = attrs.field(default=None, init=False)
    """The run that goes on."""
    _steering: MessageQueue = attrs.field(init=False, repr=False)
    _follow_ups: MessageQueue = attrs.field(init=False, repr=False)
    _is_over: bool = attrs.field(default=False, init=False)
    account: Account | None = attrs.field(default=None, init=False)
    """What that run draws on."""
    _lease: Lease = attrs.field(init=False)
    """Of its life, across restarts."""
    crew: Crew = attrs.field(init=False, repr=False)
    """The agents that its model has started."""
    handed: AssistantMessage | None = attrs.field(default=None, init=False, repr=False)
    """What another agent has said in its place, in the run that goes on."""
    _spent: BudgetExceededError | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.crew = Crew(self._context)
        self._steering = MessageQueue(self._config.steering_mode)
        self._follow_ups = MessageQueue(self._config.follow_up_mode)

    @property
    def transcript(self) -> list[Message]:
        """All that was said."""
        return self.memory.transcript

    def steer(self, messages: tuple[Message, ...]) -> Receipt:
        """Have messages enter the run at its next request; if a prompt lies unread, that of the run to come."""
        return self._add(self._steering, messages)

    def follow_up(self, messages: tuple[Message, ...]) -> Receipt:
        """Have messages enter the run where it would stop; if a prompt lies unread, the run to come."""
        return self._add(self._follow_ups, messages)

    def _add(self, queue: MessageQueue, messages: tuple[Message, ...]) -> Receipt:
        mailbox = self._context.cell.address.mailbox
        has_run = self.run is not None or self._context.in_hand is not None or mailbox.work
        if has_run and not self._is_over:
            return queue.add(messages)
        return returned(messages, "idle")

    def _give_back(self, reason: str) -> None:
        self._steering.give_back(reason)
        self._follow_ups.give_back(reason)

    async def serve(self) -> None:
        """Serve the mailbox until the agent is stopped or a run that was told fails."""
        self._open_lease()
        is_resumed = self._remember()
        self._context.cell.address.body = self
        try:
            async with trio.open_nursery() as nursery:
                if is_resumed:
                    await self._resume(nursery)
                async for message in self._context.messages():
                    if isinstance(message, Interrupt):
                        self._give_back("interrupted")
                        _answer(message, ended=False)
                    elif not isinstance(message, RunOver | Spent):
                        await self._serve_prompt(message, nursery)
                    if self._spent is not None:
                        raise self._spent
        finally:
            self._is_over = True
            self._lease.on_spent = None
            self._give_back("interrupted")

    def _remember(self) -> bool:
        """Take up the memory of the incarnation before; whether there is one to go on from."""
        config, before = self._config, self._context.cell.address.body
        if isinstance(before, AgentActor) and self._on_restart == "resume":
            self.memory = before.memory
            return True
        compaction = config.compaction
        self.memory = Memory(recovery=None if compaction is None else Recovery(compaction))
        if isinstance(before, AgentActor):
            self.memory.runs = before.memory.runs
        return False

    async def _resume(self, nursery: trio.Nursery) -> None:
        """Go on from the transcript of the incarnation before; with what it was told, if it had not done that."""
        memory = self.memory
        changed = memory.repair()
        continues = memory.is_unfinished and memory.can_continue and memory.tries < MOST_TRIES
        if memory.is_unfinished and not continues:
            memory.is_unfinished = False
            cell = self._context.cell
            lost = next((m for m in reversed(memory.transcript) if isinstance(m, UserMessage)), None)
            cell.runtime.dead_letters.add(cell.path, lost, "poison", cause=cell.event)
        self._context.started()
        self._context.cell.publish(
            AgentResumedEvent, messages=len(memory.transcript), repaired=changed, continues=continues
        )
        if continues:
            await self._serve_run(Prompt(()), None, nursery, self._config)

    def _open_lease(self) -> None:
        """Take up the lease of its life.

        Raises:
            BudgetExceededError: It is spent: an incarnation before this one ended of that.
            SpecError: A cost is bounded, and the price of the model is not known.
        """
        context, config = self._context, self._config
        lease = self._lease = ledger_of(context.runtime).open(context.cell.address, self._budget)
        account = Account.open(lease)
        account.check()
        if account.needs_price and isinstance(config.call, ProviderCall):
            need_of(config.model, Context(), config.call.options, account)
        lease.on_spent = self._run_out

    def _run_out(self, error: BudgetExceededError) -> None:
        """Hear that the lease is spent: the run ends with that, and then the agent."""
        self._spent = error
        if self.run is not None:
            self.run.fail(error)
        self._context.cell.address.mailbox.post(Spent())

    async def _serve_prompt(self, message: object, nursery: trio.Nursery) -> None:
        slot = self._context.take_reply()
        prompt = _to_prompt(message, slot)
        if prompt is None:
            return
        depth = self._config.limits.depth
        if prompt.asker is not None and depth is not None and prompt.asker.depth >= depth and slot is not None:
            slot.fail(DepthLimitError(self._context.path, depth))
            return
        try:
            config = self._config if prompt.output is None else prompt.output.apply_to(self._config)
        except SpecError as error:
            if slot is not None:
                slot.fail(error)
            return
        await self._serve_run(prompt, slot, nursery, config)

    async def _serve_run(
        self, prompt: Prompt, slot: ReplySlot | None, nursery: trio.Nursery, config: RunConfig
    ) -> None:
        memory = self.memory
        memory.runs += 1
        memory.is_unfinished = slot is None
        memory.tries += 1
        if slot is None and self._on_restart == "resume":
            self._context.in_hand = None  # the transcript has it, so a crash makes it no dead letter
        account = self.account = Account.open(self._lease, prompt.budget, prompt.asker)
        run = self.run = Run(
            memory.runs,
            self._context.runtime,
            self._context.path,
            attrs.evolve(config, call=MeteredCall(config.call, account)),
            memory.transcript,
            self._steering,
            self._follow_ups,
            cause=self._context.cell.event,
            above=clocks_of_asker(slot),
            account=account,
            hold=Hold(self._context.cell.address.mailbox),
            recovery=memory.recovery,
        )
        account.run.on_spent = run.fail
        prompt.run = run.number
        if slot is not None:
            slot.on_withdraw(lambda: run.interrupt(CancelCause("the asker", "it went away", "withdrawn")))
        nursery.start_soon(self._execute, run, prompt, name=f"{self._context.path} run {run.number}")
        try:
            await self._follow(run)
        except trio.Cancelled:
            spent = account.spent
            if slot is not None and spent is not None:
                slot.fail(spent.error())  # else the asker would only hear that the agent was killed
            raise
        finally:
            prompt.over.set()
            account.run.on_spent = None
        self._give_back("ended" if run.interrupted is None else "interrupted")
        if run.interrupted is not None or run.error is not None:
            self.crew.end_run(run)
        elif self.handed is not None:
            run.last_message = self.handed
        self.run = self.account = self.handed = None
        self._context.cell.event = run.cause
        if (
            run.last_message is not None
            and run.last_message.error is not None
            and run.last_message.error.kind in UNHEARD
        ):
            memory.tries -= 1
        _hand_over(run, slot)
        memory.tries = 0
        if run.interrupted is None or run.interrupted.source == "interrupt":
            memory.is_unfinished = False

    async def _execute(self, run: Run, prompt: Prompt) -> None:
        try:
            async with watched(run.account):
                await run.execute(prompt.messages)
        finally:
            self._context.cell.address.mailbox.post(RunOver())

    async def _follow(self, run: Run) -> None:
        """Read the control lane until the run is over."""
        waiting: list[Interrupt] = []
        while True:
            control = await self._context.next_control()
            if isinstance(control, RunOver):
                break
            if isinstance(control, Interrupt):
                waiting.append(control)
                run.interrupt(CancelCause(control.by, control.why, "interrupt"))
            elif isinstance(control, CancelCause):
                run.interrupt(control)
        for interrupt in waiting:
            _answer(interrupt, ended=True)


def _answer(interrupt: Interrupt, *, ended: bool) -> None:
    interrupt.ended.append(ended)
    interrupt.answered.set()


def _to_prompt(message: object, slot: ReplySlot | None) -> Prompt | None:
    """Give the prompt of a message. What is none goes back to the asker; told, it ends the agent."""
    if isinstance(message, Prompt):
        return message
    try:
        return Prompt(to_messages(message))
    except ValueShapeError as error:
        if slot is None:
            raise
        slot.fail(error)
        return None


def _hand_over(run: Run, slot: ReplySlot | None) -> None:
    """Give the outcome of a run to whoever asked for it; of one that was told, raise what went wrong."""
    if isinstance(run.error, Exception) and not isinstance(run.error, TinyAgentError):
        if slot is not None:
            slot.fail(run.error)
        raise run.error
    if slot is None:
        failed = run.error or (run.last_message.error if run.last_message else None)
        if failed is not None and run.interrupted is None:
            raise failed
    elif run.error is not None:
        slot.fail(run.error)
    else:
        slot.reply(run.last_message)


async def run_agent_actor(
    ctx: ActorContext, config: RunConfig, budget: Budget = UNLIMITED, on_restart: OnRestart = "resume"
) -> None:
    """Be an agent: the body of the actor that an `AgentSpec` describes."""
    await AgentActor(ctx, config, budget=budget, on_restart=on_restart).serve()
