"""The command line: parse, call, print. Nothing heavy is imported before the verb that needs it is known."""

from lab.cli.main import EXIT_CODES, main, root, run_command_line
from lab.cli.runs import SCENARIOS

__all__ = ["run_command_line", "main", "root", "EXIT_CODES", "SCENARIOS"]
