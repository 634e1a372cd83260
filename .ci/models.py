"""Make the page of models in the reference from the data file; with ``--check``, only see that it is current.

Standard library only.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = Path("tinyagent_actors/providers/models.toml")
PAGE = Path("docs/reference/models.md")
PRICES = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
NO_SETTINGS = {"name", "hosts", "providers", "models"}

_HEAD = f"""\
# Models

What is known of models. Made by `make models` from [`{DATA.name}`](../../{DATA}); do not edit. How to say it otherwise:
[choose a model](../how-to/choose-a-model.md).

Prices are USD per million tokens: fresh prompt, answer (reasoning included), prompt read from the cache, prompt written to
it, and written to be kept for an hour. An empty place is unknown, and so is then the cost of a call that needs it.
"""
_TABLE = """
| model | window | answer | thinks | sees | input | output | cache read | cache write | for 1 h | source, date |
|---|--:|--:|---|---|--:|--:|--:|--:|--:|---|
"""
_RULES = """
## Rules

Rules hold for models that stand at a host or with a provider and whose ids begin as the pattern says; later ones win. The host decides
who the provider is, where it is known.

| rule | where | ids | what holds |
|---|---|---|---|
"""


def _flag(value: bool | None) -> str:  # noqa: FBT001  # a value of the file
    return {True: "yes", False: "no", None: ""}[value]


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _price(price: dict[str, Any]) -> list[str]:
    return [_usd(price.get(name)) for name in PRICES]


def _usd(value: Decimal | int | None) -> str:
    return "" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _model(row: dict[str, Any]) -> str:
    names = ", ".join(f"`{name}`" for name in (row["id"], *row.get("aliases", ())))
    note = f"; {row['note']}" if "note" in row else ""
    sees = _flag(None if "kinds" not in row else "image" in row["kinds"])
    price = row.get("price", {})
    facts = [_number(row.get("context_window")), _number(row.get("max_tokens")), _flag(row.get("reasoning")), sees]
    lines = _line([names, *facts, *_price(price), f"{row['source']}, {row['date']}{note}"])
    for longer in price.get("above", ()):
        lines += _line([f"prompts above {_number(longer['tokens'])}", *[""] * 4, *_price(longer), ""])
    return lines


def _rule(rule: dict[str, Any]) -> str:
    where = ", ".join(f"`{place}`" for place in (*rule.get("hosts", ()), *rule.get("providers", ()))) or "anywhere"
    ids = f"`{rule['models']}`" if "models" in rule else "all"
    settings = [f"`{name}` = {_value(value)}" for name, value in rule.items() if name not in NO_SETTINGS]
    return _line([rule["name"], where, ids, "; ".join(settings)])


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def page(document: dict[str, Any]) -> str:
    """Give the text of the page."""
    by_provider: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in document["models"]:
        by_provider[row["provider"]].append(row)
    parts = [_HEAD]
    parts += [f"\n## {provider}\n{_TABLE}{''.join(map(_model, rows))}" for provider, rows in by_provider.items()]
    parts += [_RULES, *map(_rule, document["rules"]), "\n## Sources\n\n"]
    parts += [f"- {name}: {said}\n" for name, said in document["sources"].items()]
    return "".join(parts)


def main() -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page is not current")
    options = parser.parse_args()
    text = page(tomllib.loads((ROOT / DATA).read_text(encoding="utf-8"), parse_float=Decimal))
    path = ROOT / PAGE
    if not options.check:
        path.write_text(text, encoding="utf-8")
    elif not path.exists() or path.read_text(encoding="utf-8") != text:
        print(f"{PAGE} is not current; run: make models")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
