"""Everyday tools, safe by default: files below a root, the shell, pages of the web."""

from tinyagent_actors.tools.library._fetch import fetch_tool
from tinyagent_actors.tools.library._files import (
    edit_file_tool,
    file_tools,
    list_files_tool,
    read_file_tool,
    search_files_tool,
    write_file_tool,
)
from tinyagent_actors.tools.library._shell import clean_environment, shell_tool

__all__ = [
    "clean_environment",
    "edit_file_tool",
    "fetch_tool",
    "file_tools",
    "list_files_tool",
    "read_file_tool",
    "search_files_tool",
    "shell_tool",
    "write_file_tool",
]
