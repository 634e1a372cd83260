"""``python -m tinyagent_actors``: the `tinyagent` command."""

from __future__ import annotations

from tinyagent_actors.cli._main import main

__all__ = ["main"]

if __name__ == "__main__":
    main(prog_name="tinyagent")
