"""The command group."""

from __future__ import annotations

import click

from tinyagent_actors.cli._chat import chat_command
from tinyagent_actors.cli._demo import demo_command
from tinyagent_actors.cli._fake_endpoint import fake_endpoint_command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tinyagent-actors")
def tinyagent() -> None:
    """OTP for LLM agents: supervised actors, cancellable tools, typed provider streams."""


tinyagent.add_command(chat_command)
tinyagent.add_command(demo_command)
tinyagent.add_command(fake_endpoint_command)
