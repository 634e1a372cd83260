"""The quick start: one agent in a script, with a tool, against any OpenAI-compatible endpoint.

``OPENROUTER_BASE_URL`` names another endpoint than OpenRouter's; ``OPENROUTER_API_KEY`` holds the key.
"""

import trio

from tinyagent_actors import Agent, AgentOptions, AgentTool, AgentToolResult, OpenRouterModel, stream_openrouter


async def calculate_sum(tool_call_id: str, args: dict, signal, on_update) -> AgentToolResult:
    """Add two numbers."""
    result = args["a"] + args["b"]
    return AgentToolResult(content=[{"type": "text", "text": str(result)}])


tool = AgentTool(
    name="sum",
    description="Add two numbers",
    parameters={
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
    },
    execute=calculate_sum,
)


def on_event(event) -> None:
    """Print the kind of every event."""
    print(f"Event: {event.type}")


async def main() -> None:
    """Ask one question."""
    agent = Agent(AgentOptions(stream_fn=stream_openrouter, session_id="my-session"))
    agent.set_system_prompt("You are a helpful assistant.")
    agent.set_model(OpenRouterModel(id="anthropic/claude-3.5-sonnet"))
    agent.set_tools([tool])
    agent.subscribe(on_event)
    print(await agent.prompt_text("What is 2 + 3?"))


if __name__ == "__main__":
    trio.run(main)
