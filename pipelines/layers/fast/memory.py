"""Memory that is used again: what a step of training frees, the next one takes.

The allocator of a process hands large pieces back to the system, which fills them with zeros page
by page when they are asked for anew. For layers of hundreds of units that took as long as a third
of the step.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque

import numpy as np

from pipelines.layers.fast.records import Array

ALIGNMENT = 64  # bytes; what lies so, TensorFlow takes over without a copy
LARGE = 1 << 16  # bytes from which on a piece is kept


class Pool:
    """Keeps freed pieces of memory, in all no more than was in use at the same time.

    Attributes:
        kept: bytes of the pieces that wait to be used again.
    """

    def __init__(self) -> None:
        self.kept = 0
        self._free: list[Array] = []
        self._used = self._most = 0
        self._returned: deque[Array] = deque()
        self._lock = threading.Lock()

    def empty(self, *shape: int) -> Array:
        """Return float32 of a shape, holding anything; its piece comes back when no array is left.

        It may be shared with TensorFlow, whose tensors keep a reference.
        """
        size = 4 * int(np.prod(shape))
        if size < LARGE:
            return np.empty(shape, np.float32)
        piece = self._take(size + ALIGNMENT)
        skip = -piece.ctypes.data % ALIGNMENT
        array = np.frombuffer(piece.data[skip : skip + size], np.float32)
        # Nothing but an append: the last reference may go at any moment, on any thread.
        weakref.finalize(array, self._returned.append, piece).atexit = False
        return array.reshape(shape)

    def _take(self, size: int) -> Array:
        """Return the smallest kept piece that fits, if it is not twice as large, or a new one."""
        with self._lock:
            self._collect()
            fitting = [piece for piece in self._free if size <= piece.size <= 2 * size]
            if fitting:
                piece = min(fitting, key=lambda one: one.size)
                self._free = [one for one in self._free if one is not piece]
                self.kept -= piece.size
            else:
                piece = np.empty(size, np.uint8)
            self._used += piece.size
            self._most = max(self._most, self._used)
            return piece

    def _collect(self) -> None:
        while self._returned:
            piece = self._returned.popleft()
            self._used -= piece.size
            self._free.append(piece)
            self.kept += piece.size
        while self._free and self.kept + self._used > self._most:
            self.kept -= self._free.pop(0).size


POOL = Pool()
