#!/usr/bin/env python3
"""Reads a file in Hadoop's Snappy and compares it with the original, byte for byte; writes one for us.

    hadoop_snappy.py FILE.snappy ORIGINAL
    hadoop_snappy.py --write ORIGINAL FILE.snappy

The container is read here, after Hadoop's BlockCompressorStream; blocks are decoded by Google's snappy,
as pyarrow has it. Every block must be one chunk that a reader with Hadoop's default buffers can take.
`--write` makes blocks of several chunks, as Hadoop does of one large write.
"""

import sys

import pyarrow

from cells import refuse

# io.compression.codec.snappy.buffersize, and what SnappyCodec keeps free of it.
BUFFER = 256 * 1024
CHUNK = BUFFER - (BUFFER // 6 + 32)


def plain_length(block):
    """The varint that a raw snappy block begins with."""
    length, shift = 0, 0
    for byte in block[:5]:
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return length
        shift += 7
    refuse("a compressed block begins with no length")


def blocks(stored):
    """Yields the uncompressed data of each block."""
    place = 0
    while place < len(stored):
        expected = int.from_bytes(stored[place:place + 4], "big")
        if expected == 0:
            place += 4
            continue
        size = int.from_bytes(stored[place + 4:place + 8], "big")
        chunk = stored[place + 8:place + 8 + size]
        if len(chunk) != size:
            refuse(f"byte {place}: a chunk of {size} bytes is cut off")
        if size > BUFFER or expected > CHUNK:
            refuse(f"byte {place}: {expected} bytes in {size}, more than Hadoop's buffers hold")
        if plain_length(chunk) != expected:
            refuse(f"byte {place}: the block says {expected} bytes, its chunk {plain_length(chunk)}")
        yield pyarrow.decompress(chunk, decompressed_size=expected, codec="snappy", asbytes=True)
        place += 8 + size


def write(plain):
    stored = b""
    # Two blocks of many chunks, then the empty one that Hadoop ends with after a large write.
    middle = len(plain) // 2
    for block in (plain[:middle], plain[middle:]):
        stored += len(block).to_bytes(4, "big")
        for start in range(0, len(block), CHUNK):
            chunk = pyarrow.compress(block[start:start + CHUNK], codec="snappy", asbytes=True)
            stored += len(chunk).to_bytes(4, "big") + chunk
    return stored + bytes(4)


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--write":
        with open(sys.argv[2], "rb") as source, open(sys.argv[3], "wb") as target:
            target.write(write(source.read()))
        return
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        stored = file.read()
    if not stored:
        refuse("no bytes at all: Hadoop writes four zeros for an empty file")
    found = b"".join(blocks(stored))
    with open(sys.argv[2], "rb") as file:
        original = file.read()
    if found != original:
        place = next((i for i, (a, b) in enumerate(zip(found, original)) if a != b), min(len(found), len(original)))
        refuse(f"{len(found)} bytes, the original has {len(original)}; they differ from byte {place}")
    print(f"{len(found)} bytes, the same")


if __name__ == "__main__":
    main()
