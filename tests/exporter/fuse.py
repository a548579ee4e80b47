"""A real file system whose answers can be held back: `python fuse.py FOLDER`, then `hold` and `answer` on its input.

It speaks the kernel's own FUSE protocol on /dev/fuse and knows two requests, INIT and STATFS. It is a process of its
own, because whoever waits for a file system in the kernel cannot be killed before that file system answers or ends.
It ends, and unmounts, when its input ends; then everybody who waits is told.
"""

import ctypes
import errno
import os
import struct
import sys
import threading

REQUEST = struct.Struct("=IIQQIIII")
ANSWER = struct.Struct("=IiQ")
INITIAL = struct.Struct("=IIIIHHIIHHI7I")
NUMBERS = struct.Struct("=QQQQQIIII6I")
STATFS, INIT = 17, 26
# FORGET, INTERRUPT and BATCH_FORGET are told, not asked.
UNANSWERED = (2, 36, 42)
READ_BYTES = 1 << 17
BLOCKS, FREE, AVAILABLE, FILES, FILES_FREE, BLOCK_BYTES = 1000, 400, 300, 50, 20, 4096
DETACH = 2
REMOUNT = 32

libc = ctypes.CDLL(None, use_errno=True)


class Served:
    def __init__(self, folder: str) -> None:
        self.device = os.open("/dev/fuse", os.O_RDWR)
        self.folder = folder.encode()
        self.holds = False
        self.held: list[int] = []
        self.lock = threading.Lock()
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0".encode()
        if libc.mount(b"tocsin-test", self.folder, b"fuse.tocsin", 0, options):
            raise OSError(ctypes.get_errno(), "cannot mount")

    def serve(self) -> None:
        while True:
            try:
                request = os.read(self.device, READ_BYTES)
            except OSError:
                return
            _, code, number, *_ = REQUEST.unpack_from(request)
            with self.lock:
                if code == INIT:
                    self.reply(number, INITIAL.pack(7, 31, 0, 0, 0, 0, 4096, 0, 0, 0, 0, *(0,) * 7))
                elif code == STATFS and self.holds:
                    self.held.append(number)
                    print("held", flush=True)
                elif code == STATFS:
                    self.answer(number)
                elif code not in UNANSWERED:
                    self.reply(number, b"", error=errno.ENOSYS)

    def command(self, word: str) -> None:
        with self.lock:
            self.holds = word == "hold"
            while self.held and not self.holds:
                self.answer(self.held.pop())
            print("done", flush=True)

    def answer(self, number: int) -> None:
        blocks = (BLOCKS, FREE, AVAILABLE, FILES, FILES_FREE)
        self.reply(number, NUMBERS.pack(*blocks, BLOCK_BYTES, 255, BLOCK_BYTES, 0, *(0,) * 6))

    def reply(self, number: int, content: bytes, *, error: int = 0) -> None:
        os.write(self.device, ANSWER.pack(ANSWER.size + len(content), -error, number) + content)


def main() -> None:
    served = Served(sys.argv[1])
    threading.Thread(target=served.serve, daemon=True).start()
    print("mounted", flush=True)
    try:
        for line in sys.stdin:
            served.command(line.strip())
    finally:
        libc.umount2(served.folder, DETACH)


if __name__ == "__main__":
    main()
