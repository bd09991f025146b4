"""Fills the disk below a mount, again and again, and believes nothing but what it reads back.

    fill.py MOUNT ROUNDS SEED SECONDS

A full disk may refuse open and write with ENOSPC, and nothing else with anything. Whatever write took
must be there after close; `rm` works at once; and within SECONDS there is space again.
"""

import errno
import os
import random
import sys
import time

MOUNT, ROUNDS, SEED, SECONDS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
CHUNK = 128 * 1024
SIZES = [0, 1, 700, 4096, 5000, 60_000, 300_000, 2_000_000, 9_000_000]
PATTERN = random.Random(SEED).randbytes(1 << 20)


def bytes_of(number, start, end):
    """The contents of file `number` in [start, end): its own pattern, so that no two are alike."""
    shift = number * 7919 % len(PATTERN)
    stream = PATTERN[shift:] + PATTERN[:shift]
    first = start // len(stream)
    whole = stream * ((end - first * len(stream)) // len(stream) + 1)
    return whole[start - first * len(stream) : end - first * len(stream)]


def path_of(number):
    return os.path.join(MOUNT, f"d{number % 7}", f"f{number}")


def only_enospc(error, what):
    if error.errno != errno.ENOSPC:
        raise AssertionError(f"{what}: {error}")


class Filler:
    def __init__(self):
        self.random = random.Random(SEED)
        self.next = 0
        self.files = {}
        self.refused = {"open": 0, "write": 0}
        self.written = 0

    def put(self, size):
        """Writes one file; whether all of it was taken."""
        number = self.next
        self.next += 1
        try:
            fd = os.open(path_of(number), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except OSError as error:
            only_enospc(error, "open")
            self.refused["open"] += 1
            return False
        taken = 0
        try:
            while taken < size:
                n = os.write(fd, bytes_of(number, taken, min(taken + CHUNK, size)))
                taken += n
        except OSError as error:
            only_enospc(error, "write")
            self.refused["write"] += 1
        # Neither may fail for bytes that write has taken.
        if self.random.random() < 0.3:
            os.fsync(fd)
        os.close(fd)
        self.files[number] = taken
        self.written += taken
        return taken == size

    def fill(self):
        """Goes on until even small files have been refused several times."""
        refusals = 0
        while refusals < 12:
            size = self.random.choice(SIZES if refusals < 6 else SIZES[2:5])
            if not self.put(size):
                refusals += 1

    def verify(self):
        for number, size in self.files.items():
            with open(path_of(number), "rb") as file:
                found = file.read()
            assert found == bytes_of(number, 0, size), f"{path_of(number)}: other bytes, {len(found)} of {size}"

    def remove(self, share):
        for number in [n for n in self.files if self.random.random() < share]:
            os.unlink(path_of(number))
            del self.files[number]

    def truncate(self):
        """Cuts files in the middle of a block, on a full disk."""
        large = [n for n, size in self.files.items() if size > 10_000]
        for number in large[:40]:
            size = self.files[number] * 2 // 3 | 1
            os.truncate(path_of(number), size)
            self.files[number] = size

    def await_space(self):
        deadline = time.monotonic() + SECONDS
        while not self.put(2_000_000):
            assert time.monotonic() < deadline, f"no space came back: {os.statvfs(MOUNT)}"
            time.sleep(0.1)


def main():
    filler = Filler()
    for n in range(7):
        os.mkdir(os.path.join(MOUNT, f"d{n}"))
    for number in range(ROUNDS):
        filler.fill()
        filler.verify()
        filler.remove(0.6)
        filler.await_space()
        print(f"round {number}: {len(filler.files)} files, {filler.written >> 20} MiB", filler.refused, flush=True)
    filler.fill()
    filler.truncate()
    filler.verify()
    filler.remove(1)
    filler.await_space()
    filler.verify()
    print("refused", filler.refused["open"] + filler.refused["write"])


main()
