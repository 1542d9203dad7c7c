#!/usr/bin/env python3
"""Reads a zstd file and compares it with the original, byte for byte; writes one for us.

    zstd_text.py FILE.zst ORIGINAL
    zstd_text.py --write ORIGINAL FILE.zst

Read by pyarrow, with the zstd that it brings; it must be one frame with a checksum (RFC 8878, 3.1.1).
`--write` makes two frames without.
"""

import sys

import pyarrow

from cells import refuse


FRAME_MAGIC = b"\x28\xb5\x2f\xfd"
CHECKSUM_FLAG = 0b100


def read(path):
    with open(path, "rb") as file:
        first = file.read(5)
    if first[:4] != FRAME_MAGIC or not first[4] & CHECKSUM_FLAG:
        refuse(f"expected a frame with a checksum, it begins with {first.hex()}")
    with pyarrow.OSFile(path) as file, pyarrow.CompressedInputStream(file, "zstd") as stream:
        return stream.read()


def write(source, target):
    with open(source, "rb") as file:
        plain = file.read()
    middle = len(plain) // 2
    with open(target, "wb") as file:
        for part in (plain[:middle], plain[middle:]):
            file.write(pyarrow.compress(part, codec="zstd", asbytes=True))


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--write":
        write(sys.argv[2], sys.argv[3])
        return
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    with open(sys.argv[2], "rb") as file:
        original = file.read()
    found = read(sys.argv[1])
    if found != original:
        refuse(f"{len(found)} bytes, the original has {len(original)}")
    print(f"{len(found)} bytes, the same")


if __name__ == "__main__":
    main()
