"""Systems: a supervised tree with an owner, and the program around it."""

from tinyagent_actors.system._open_system import open_system
from tinyagent_actors.system._run import EXIT_LEFTOVERS, run
from tinyagent_actors.system._system import System

__all__ = ["EXIT_LEFTOVERS", "System", "open_system", "run"]
