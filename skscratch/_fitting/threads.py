"""Threads: keep the BLAS from sharing out products that are too small for it.

Two threads have to meet twice for each product. That takes microseconds while both have a core to
themselves, and milliseconds once something else wants one of the cores: a fit of many small
products was seen to take ten times as long on a busy machine with two threads as with one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Any
from weakref import WeakSet

from threadpoolctl import ThreadpoolController

from ..nn.network import Network

SMALL_PRODUCT = 2**23
"""Multiplications in a product that is shared out; measured on two cores, see `few_threads`."""


@contextmanager
def few_threads(network: Network, n_rows: int) -> Iterator[None]:
    """Hold the BLAS to one thread if all the network's products for so many rows are small.

    Below `SMALL_PRODUCT` (a layer from 181 to 181 units, in batches of 256) a second thread makes
    a product at most 1.6 times as fast, and a step less than that; above it, nearly twice.

    The number of threads belongs to the whole process, so that the products of other Python threads
    are held to it for as long as well. Where several hold it down at once, the last one to end
    gives the threads back.

    Parameters
    ----------
    network : Network
        What is computed.
    n_rows : int
        Rows of the largest batch.
    """
    largest = n_rows * max(layer.n_in * layer.n_out for layer in network.dense)
    if largest >= SMALL_PRODUCT:
        yield
        return
    holder = _Holder()
    try:
        _one_thread.hold(holder)
        yield
    finally:
        _one_thread.release(holder)


class _Holder:
    """Whoever wants one thread."""


class _OneThread:
    """Holds the BLAS to one thread as long as anybody wants it.

    An interrupt may come between any two lines: what it leaves undone, the next one to leave does.
    A holder that it kept from leaving is no longer there when nothing else refers to it.
    """

    def __init__(self) -> None:
        self._lock, self._holders = RLock(), WeakSet[_Holder]()
        self._before: list[int] | None = None

    def hold(self, holder: _Holder) -> None:
        with self._lock:
            is_first = not self._holders
            self._holders.add(holder)
            if self._before is None:
                self._before = [library.num_threads for library in _blas()]
            if is_first:
                _set_threads([1] * len(self._before))

    def release(self, holder: _Holder) -> None:
        with self._lock:
            self._holders.discard(holder)
            if not self._holders and self._before is not None:
                _set_threads(self._before)
                self._before = None

    def forget(self) -> None:
        """Let go, in a process that a fork has made, of what the parent's threads hold."""
        self._lock, self._holders = RLock(), WeakSet()
        self.release(_Holder())


_one_thread = _OneThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_one_thread.forget)


def _set_threads(numbers: list[int]) -> None:
    for library, number in zip(_blas(), numbers, strict=True):
        library.set_num_threads(number)
        # Later versions of threadpoolctl let no other thread change what one has set before that
        # one has said that it is done. Here the last to leave need not be the first to come.
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread()


@cache
def _blas() -> list[Any]:
    # Looking for the libraries takes milliseconds, setting their threads microseconds.
    return ThreadpoolController().select(user_api="blas").lib_controllers
