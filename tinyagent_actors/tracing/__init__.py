"""Tracing: the structured log."""

from tinyagent_actors.tracing._log import EventLog, open_log

__all__ = ["EventLog", "open_log"]
