"""A bank of counters: accounts are actors, a transfer is a few asks, and an account that crashes heals."""

import attrs
import trio

from tinyagent_actors import Actor, ActorDiedError, ChildSpec, handles, open_system, supervisor


@attrs.frozen
class Book:
    """Write down what an account holds."""

    name: str
    balance: int


@attrs.frozen
class LookUp:
    """Ask what an account holds by the book."""

    name: str


class Ledger(Actor[Book | LookUp, int]):
    """The book: small, dull, and so the one that does not crash."""

    def __init__(self, balances):
        """Begin with these."""
        self.balances = dict(balances)

    @handles
    async def book(self, message: Book):
        """Write it down."""
        self.balances[message.name] = message.balance

    @handles
    async def look_up(self, message: LookUp):
        """Read it out."""
        return self.balances[message.name]


@attrs.frozen
class Change:
    """Put money in, or take it out; the answer says whether that was done."""

    amount: int


class Account(Actor[Change | str, bool | int]):
    """An account: a counter, not below nothing, and with a defect."""

    def __init__(self, ledger):
        """Hold nothing before the book was read."""
        self.ledger = ledger
        self.balance = 0

    async def on_start(self):
        """Begin with what the book says, in the first incarnation and in each that follows a crash."""
        self.balance = await self.ledger.ask(LookUp(self.ctx.name))

    @handles
    async def change(self, message: Change):
        """Change the balance, the book first."""
        balance = self.balance + message.amount
        if balance < 0:
            return False
        if balance > 999:
            raise OverflowError("the counter has three digits")
        await self.ledger.ask(Book(self.ctx.name, balance))
        self.balance = balance
        return True

    @handles
    async def question(self, _word: str):
        """Tell the balance."""
        return self.balance


@attrs.frozen
class Transfer:
    """Move money from one account to another."""

    source: str
    target: str
    amount: int


class Teller(Actor[Transfer, str]):
    """Makes transfers, one at a time. Whoever fails in it is named in the answer; the money is where it was."""

    def __init__(self, accounts):
        """Work for the accounts of that supervisor."""
        self.accounts = accounts

    @handles
    async def transfer(self, message: Transfer):
        """Take out, then put in; if that fails, put back."""
        source, target = self.accounts.child(message.source), self.accounts.child(message.target)
        if not await source.ask(Change(-message.amount)):
            return "refused"
        try:
            await target.ask(Change(message.amount))
        except ActorDiedError as error:
            await source.ask(Change(message.amount))
            return f"put back, {error.path} died: {error.cause}"
        return "done"


async def main():
    """Open a bank, move money, break an account, and count what is there."""
    async with open_system(name="bank") as system:
        ledger = await system.start_child(ChildSpec("ledger", Ledger, args=({"anna": 900, "ben": 500},)))
        specs = [ChildSpec(name, Account, args=(ledger,)) for name in ("anna", "ben")]
        accounts = await system.start_child(supervisor("accounts", children=specs))
        teller = await system.start_child(ChildSpec("teller", Teller, args=(accounts,)))

        async def show():
            balances = {name: await accounts.child(name).ask("balance") for name in ("anna", "ben")}
            print(*(f"{name}: {balance}" for name, balance in balances.items()), f"total: {sum(balances.values())}")

        with trio.fail_after(10):
            await show()
            for transfer in (Transfer("anna", "ben", 300), Transfer("anna", "ben", 5000), Transfer("anna", "ben", 250)):
                answer = await teller.ask(transfer)
                print(f"{transfer.source} -> {transfer.target} {transfer.amount}: {answer}")
            await show()
            print("incarnations of ben:", accounts.child("ben").incarnation)


if __name__ == "__main__":
    trio.run(main)
