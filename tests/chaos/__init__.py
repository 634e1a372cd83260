"""Trees of agents under faults that come at random: ``python -m tests.chaos --help``."""
