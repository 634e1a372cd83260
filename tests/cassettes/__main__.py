"""``python -m tests.cassettes``: write the corpus, and remove what is no part of it."""

from __future__ import annotations

from tests.cassettes._corpus import CORPUS, FOLDER
from tinyagent_actors.providers._cassette_file import format_cassette

if __name__ == "__main__":
    files = {case.file: format_cassette(case.cassette()) for case in CORPUS}
    for path in FOLDER.glob("*.jsonl"):
        if path.name not in files:
            path.unlink()
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)
    print(f"{len(files)} cassettes")  # noqa: T201  # a program
