"""The floor: a bare epoll reader that makes requests and throws the bytes away."""

from __future__ import annotations

import selectors
import socket
import sys
import time
from urllib.parse import urlsplit

_BODY = b'{"model":"bench","messages":[{"role":"user","content":"Go."}],"stream":true}'


def read_streams(base_url: str, at_once: int) -> float:
    """Read so many streams to their ends; how long it took, in seconds."""
    where = urlsplit(base_url)
    request = (
        f"POST {where.path}/chat/completions HTTP/1.1\r\nhost: {where.netloc}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(_BODY)}\r\n\r\n"
    ).encode() + _BODY
    selector = selectors.DefaultSelector()
    tails: dict[int, bytes] = {}
    began = time.perf_counter()
    for _ in range(at_once):
        connection = socket.create_connection((where.hostname or "", where.port or 80))
        connection.sendall(request)
        connection.setblocking(False)  # noqa: FBT003  # the socket's own signature
        selector.register(connection, selectors.EVENT_READ)
        tails[connection.fileno()] = b""
    while tails:
        for key, _ in selector.select():
            connection = key.fileobj  # type: ignore[assignment]  # only sockets are registered
            tail = (tails[key.fd] + connection.recv(65536))[-16:]
            tails[key.fd] = tail
            if tail.endswith(b"0\r\n\r\n"):
                selector.unregister(connection)
                del tails[key.fd]
                connection.close()
    return time.perf_counter() - began


if __name__ == "__main__":
    print(read_streams(sys.argv[1], int(sys.argv[2])))
