"""A decoding process in the hands of somebody else: says what `target` of its request tells it to. Run as a program."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import time

from streamapp.sources.child.messages import HEADER, LENGTH, DecodedPicture, Kind, message

PICTURE = DecodedPicture(0, 16, 16, "gray", 0, 0, (16, 0, 0), 1.0, time.monotonic(), None, has_coded=False)


def main() -> None:
    link = socket.socket(fileno=int(sys.argv[2]))
    link.sendall(message(Kind.READY))
    (length,) = LENGTH.unpack(link.recv(LENGTH.size, socket.MSG_WAITALL))
    what = json.loads(link.recv(length, socket.MSG_WAITALL))["opening"]["target"]
    opened = message(Kind.OPENED, b"h264")
    if what == "silence":
        time.sleep(60)
    words = {
        "noise": os.urandom(100_000),
        "noise once open": opened + bytes(range(7, 255)) * 100,
        "endless length": opened + HEADER.pack(2**32 - 1, Kind.CODED),
        "a picture before it is open": PICTURE.encode(),
        "opened twice": opened + opened,
        "a slot twice": opened + PICTURE.encode() * 2,
        "a slot beyond the last": opened + PICTURE.encode().replace(b"\0\0\x10\0\0\0", b"\x7f\x7f\x10\0\0\0", 1),
        "coded before decoded": opened + message(Kind.CODED, struct.pack("=ddBB", 0, 0, 1, 0) + b"x"),
        "an unknown error": message(Kind.FAILED, b"no_such rtsp://u:secret@h/ \x1b[31mred\nline"),
        "half a message": opened + HEADER.pack(100, Kind.PICTURE) + b"x",
        "environment": message(Kind.FAILED, ("source_ended " + ",".join(sorted(os.environ))).encode()),
        "hang": opened + message(Kind.ALIVE),
        "lost pictures": opened
        + PICTURE.encode()
        + b"".join(lost(number) for number in range(1, 6))
        + message(Kind.FAILED, b"source_ended over"),
    }
    link.sendall(words[what])
    if what == "hang":
        time.sleep(60)


def lost(number: int) -> bytes:
    """A picture for which there was no slot."""
    return DecodedPicture(-1, 16, 16, "gray", 0, 0, (16, 0, 0), 1.0 + number, 0.0, None, has_coded=False).encode()


if __name__ == "__main__":
    main()
