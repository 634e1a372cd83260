"""tinyagent_actors: OTP for LLM agents, in Python, on Trio."""
