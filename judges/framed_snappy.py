#!/usr/bin/env python3
"""Reads a Snappy framing file and compares it with the original, byte for byte.

    framed_snappy.py FILE.sz [ORIGINAL]

Without ORIGINAL the decompressed bytes go to standard output. The framing is read here, after the
format's description (google/snappy, framing_format.txt); blocks are decoded by Google's snappy, as
pyarrow has it, and the checksum is awscrt's CRC-32C: no code in common with Rust's `snap`.
"""

import sys

import pyarrow
from awscrt.checksums import crc32c

from cells import refuse

STREAM_ID = b"\xff\x06\x00\x00sNaPpY"
MAX_UNCOMPRESSED = 65_536


def masked_crc(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def uncompressed_length(block):
    """The varint that a raw snappy block begins with."""
    length, shift = 0, 0
    for byte in block[:5]:
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return length
        shift += 7
    refuse("a compressed block begins with no length")


def chunks(framed):
    """Yields the uncompressed data of each chunk."""
    if not framed.startswith(STREAM_ID):
        refuse(f"expected the stream identifier at the start, found {framed[:10]!r}")
    place = 0
    while place < len(framed):
        kind, size = framed[place], int.from_bytes(framed[place + 1:place + 4], "little")
        body = framed[place + 4:place + 4 + size]
        if place + 4 > len(framed) or len(body) != size:
            refuse(f"byte {place}: a chunk of {size} bytes is cut off")
        if kind == 0xFF:
            if framed[place:place + 10] != STREAM_ID:
                refuse(f"byte {place}: a wrong stream identifier")
        elif kind in (0x00, 0x01):
            yield unpack(kind, body, place)
        elif kind < 0x80:
            refuse(f"byte {place}: chunk type {kind:#04x} is reserved and may not be skipped")
        place += 4 + size


def unpack(kind, body, place):
    expected, data = int.from_bytes(body[:4], "little"), body[4:]
    if kind == 0x00:
        length = uncompressed_length(data)
        if length > MAX_UNCOMPRESSED:
            refuse(f"byte {place}: a chunk of {length} bytes uncompressed, at most {MAX_UNCOMPRESSED} are allowed")
        data = pyarrow.decompress(data, decompressed_size=length, codec="snappy", asbytes=True)
    if len(data) > MAX_UNCOMPRESSED:
        refuse(f"byte {place}: a chunk of {len(data)} bytes, at most {MAX_UNCOMPRESSED} are allowed")
    if masked_crc(data) != expected:
        refuse(f"byte {place}: checksum {masked_crc(data):08x}, the chunk says {expected:08x}")
    return data


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        found = b"".join(chunks(file.read()))
    if len(sys.argv) == 2:
        sys.stdout.buffer.write(found)
        return
    with open(sys.argv[2], "rb") as file:
        original = file.read()
    if found != original:
        place = next((i for i, (a, b) in enumerate(zip(found, original)) if a != b), min(len(found), len(original)))
        refuse(f"{len(found)} bytes, the original has {len(original)}; they differ from byte {place}")
    print(f"{len(found)} bytes, the same")


if __name__ == "__main__":
    main()
