"""Root: a folder that names cannot leave, whatever they say and whoever changes the folder meanwhile.

The design. Comparing paths as texts is no protection: a name that was fine when it was looked at is another one when it is opened
(a folder is exchanged for a symbolic link between the two). So nothing is ever looked up by its whole path. The way goes down step
by step, each step relative to the descriptor of the folder above it and without following links (`openat` with `O_NOFOLLOW`).
A symbolic link is read and its target is walked in the same way; ``..`` goes to the descriptor that the way came by, and above the first
there is none. What is opened in the end is opened by its last name, in the folder that was reached, again without following.

A link may lead anywhere below the root, at most `MOST_LINKS` on one way. What is no regular file (a device, a pipe, which
could block for ever) is not opened for its content. Not covered: a folder that somebody moves out of the root while
it is open here, and hard links, which are as good as the file itself.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import attrs

from tinyagent_actors._errors import PathRefusedError

MOST_LINKS: Final = 40
MOST_PARTS: Final = 256
FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _to_real_path(value: Path | str) -> Path:
    return Path(value).resolve()


@attrs.frozen
class Place:
    """Where a name leads: a folder that is open, and a name in it. Good inside `Root.find`."""

    folder: int
    """A descriptor."""
    name: str
    """No link, when it was looked at; ``.``: the folder itself."""
    path: str
    """Relative to the root, without links."""

    def stat(self) -> os.stat_result | None:
        """Look at what is there; None: nothing."""
        try:
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    @contextmanager
    def open_file(self) -> Iterator[int]:
        """Open a regular file to read.

        Raises:
            PathRefusedError: It is none.
            OSError: It is not there, or must not be read.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with _told(self.path):
            descriptor = os.open(self.name, flags, dir_fd=self.folder)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise PathRefusedError(self.path, "is no regular file")
            yield descriptor
        finally:
            os.close(descriptor)

    def replace(self, data: bytes) -> None:
        """Put a file there, whole or not at all; one that is there goes, its mode stays.

        Raises:
            PathRefusedError: Something is there that is no regular file.
            OSError: It cannot be written; nothing has changed.
        """
        before = self.stat()
        if before is not None and not stat.S_ISREG(before.st_mode):
            raise PathRefusedError(self.path, "is no regular file")
        mode = 0o644 if before is None else stat.S_IMODE(before.st_mode)
        new = f".{self.name[:100]}.{secrets.token_hex(6)}.new"
        descriptor = os.open(
            new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=self.folder
        )
        try:
            try:
                if before is not None:
                    os.fchmod(descriptor, mode)
                with open(descriptor, "wb", closefd=False) as file:  # a descriptor has no path
                    file.write(data)
            finally:
                os.close(descriptor)
            os.rename(new, self.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(new, dir_fd=self.folder)
            raise


@attrs.frozen
class Root:
    """A folder below which names are looked up. All of it blocks as long as the disk does: use it in threads."""

    path: Path = attrs.field(converter=_to_real_path)

    @contextmanager
    def find(self, name: str, *, make_folders: bool = False) -> Iterator[Place]:
        """Find where a name leads: relative to the root, or an absolute path below it.

        Args:
            name: The name.
            make_folders: Make the folders on the way that are not there.

        Yields:
            The place; the last name need not exist.

        Raises:
            PathRefusedError: It leads out of the root.
            OSError: A folder on the way is not there, or must not be entered.
        """
        with ExitStack() as stack:
            walk = _Walk(self.path, name, stack, make_folders)
            yield walk.go()

    @contextmanager
    def open_folder(self, name: str) -> Iterator[tuple[int, str]]:
        """Open a folder: its descriptor, and its path relative to the root.

        Raises:
            PathRefusedError: It leads out of the root.
            OSError: It is no folder, or not there.
        """
        with self.find(name) as place:
            with _told(place.path):
                descriptor = os.open(place.name, FOLDER, dir_fd=place.folder)
            try:
                yield descriptor, place.path
            finally:
                os.close(descriptor)


@attrs.define
class _Walk:
    """One way down."""

    root: Path
    name: str
    stack: ExitStack
    make_folders: bool
    parts: deque[str] = attrs.field(factory=deque, init=False)
    """What is still to be walked."""
    folders: list[tuple[int, str]] = attrs.field(factory=list, init=False)
    """The way that was walked: descriptors and names; the first is the root."""
    links: int = attrs.field(default=0, init=False)

    def go(self) -> Place:
        """Walk it."""
        self._start(self.name)
        while self.parts:
            part = self.parts.popleft()
            if part == "..":
                if len(self.folders) == 1:
                    raise self._leads_out()
                self.folders.pop()
            elif self._follows_link(part):
                continue
            elif not self.parts:
                return Place(self.folders[-1][0], part, self._path(part))
            else:
                self._enter(part)
        return Place(self.folders[-1][0], ".", self._path())

    def _start(self, name: str) -> None:
        """Begin at the root, with a name that is to be walked from there."""
        if "\0" in name:
            raise PathRefusedError(self.name.replace("\0", "?"), "holds a NUL")
        if name.startswith("/"):
            try:
                name = str(Path(name).relative_to(self.root))
            except ValueError:
                raise self._leads_out() from None
        self._add(name)
        if not self.folders:
            self._push(os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), "")
        del self.folders[1:]

    def _leads_out(self) -> PathRefusedError:
        return PathRefusedError(self.name, "leads out of the folder that you may use")

    def _add(self, name: str) -> None:
        self.parts.extendleft(reversed([part for part in name.split("/") if part not in {"", "."}]))
        if len(self.parts) + len(self.folders) > MOST_PARTS:
            raise PathRefusedError(f"{self.name[:200]}...", "has too many parts")

    def _follows_link(self, part: str) -> bool:
        """Put the target of a link in its place; whether it was one."""
        with _told(self._path(part)):
            try:
                target = os.readlink(part, dir_fd=self.folders[-1][0])
            except FileNotFoundError:
                return False
            except OSError as error:
                if error.errno == errno.EINVAL:  # there is something, and it is no link
                    return False
                raise
        self.links += 1
        if self.links > MOST_LINKS:
            raise PathRefusedError(self.name, "has too many links on its way")
        if target.startswith("/"):
            self._start(target)
        else:
            self._add(target)
        return True

    def _enter(self, part: str) -> None:
        above = self.folders[-1][0]
        with _told(self._path(part)):
            if self.make_folders:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=above)
            self._push(os.open(part, FOLDER, dir_fd=above), part)

    def _push(self, descriptor: int, name: str) -> None:
        self.stack.callback(os.close, descriptor)
        self.folders.append((descriptor, name))

    def _path(self, *more: str) -> str:
        return "/".join([*(name for _, name in self.folders[1:]), *more]) or "."


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Name the path below the root in errors, and no other; a link that came in between is refused."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise PathRefusedError(path, "is a link now") from None
        raise OSError(error.errno, error.strerror, path) from None
