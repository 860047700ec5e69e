"""Threads: keep the BLAS from sharing out products that are too small for it.

Two threads have to meet twice for each product. That takes microseconds while both have a core to
themselves, and milliseconds once something else wants one of the cores: a fit of many small
products was seen to take ten times as long on a busy machine with two threads as with one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

from .nn.network import Network

SMALL_PRODUCT = 2**23
"""Multiplications in a product that is shared out; measured on two cores, see `few_threads`."""


@contextmanager
def few_threads(network: Network, n_rows: int) -> Iterator[None]:
    """Hold the BLAS to one thread if all the network's products for so many rows are small.

    Below `SMALL_PRODUCT` (a layer from 181 to 181 units, in batches of 256) a second thread makes
    a product at most 1.6 times as fast, and a step less than that; above it, nearly twice.

    The number of threads belongs to the whole process, so that the products of other Python threads
    are held to it for as long as well.

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
    else:
        with _controller().limit(limits=1, user_api="blas"):
            yield


@cache
def _controller() -> ThreadpoolController:
    # Looking for the libraries takes milliseconds, setting their threads microseconds.
    return ThreadpoolController()
