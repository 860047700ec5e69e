"""Peak memory of a piece of code, in a process of its own."""

import gc
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Self

_INTERVAL = 0.002  # seconds between two looks


class MemoryWatch:
    """Watches the memory that a ``with`` block needs beyond what there was before it.

    It reads ``/proc/self/status``, which Linux alone has; elsewhere the results are None.

    Attributes
    ----------
    resident : int or None
        Growth of the resident set, at its peak, in bytes. The peak is the kernel's own record,
        which misses nothing.
    anonymous : int or None
        Growth of its anonymous part, the pages that are no file's, at the largest of many looks.
        A memory map's pages do not count, as the kernel takes them back when it needs room.
    """

    resident: int | None = None
    anonymous: int | None = None

    def __enter__(self) -> Self:
        gc.collect()
        self._before = _status()
        if self._before:
            _reset_peak()
            self._most = _status()
            self._done = threading.Event()
            self._thread = threading.Thread(target=self._keep_looking, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._before:
            return
        self._done.set()
        self._thread.join()
        self._look()
        self.resident = self._most["VmHWM"] - self._before["VmRSS"]
        self.anonymous = self._most["RssAnon"] - self._before["RssAnon"]

    def _keep_looking(self) -> None:
        while not self._done.wait(_INTERVAL):
            self._look()

    def _look(self) -> None:
        for name, size in _status().items():
            self._most[name] = max(self._most[name], size)


def in_fresh_process(function: Callable, *arguments: Any) -> Any:
    """Call a module's function in a new process, and return what it returns.

    Memory that earlier work has freed but not given back would hide what this work needs.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def _status() -> dict[str, int]:
    """Return the sizes in bytes, nothing where they are unknown."""
    sizes = {}
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                name, _, rest = line.partition(":")
                if name in ("VmHWM", "VmRSS", "RssAnon"):
                    sizes[name] = 1024 * int(rest.split()[0])
    except OSError:
        return {}
    return sizes


def _reset_peak() -> None:
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass  # the peak is then that of the process, which can only be too high
