"""A random order of numbers, known one by one without a list of all."""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int, PRNGKeyArray, UInt32

ROUNDS = 6
"""Rounds per bit of the size."""


def shuffled(key: PRNGKeyArray, places: Int[Array, "*shape"], size: int) -> Int[Array, "*shape"]:
    """Return the numbers at some places of a random order of 0, …, `size` − 1.

    Other keys give other orders. Needs no memory for the order, so every cell of a sweep can have
    its own. Each round pairs x with k − x modulo the size, and swaps a pair by a random bit: the
    swap-or-not shuffle of Hoang, Morris and Rogaway (CRYPTO 2012).
    """
    rounds = ROUNDS * max(math.ceil(math.log2(size)), 1)
    numbers = jax.random.bits(key, (rounds, 2), jnp.uint32)

    def swap(x: Array, number: Array) -> tuple[Array, None]:
        shift, salt = number
        partner = (shift % size + size - x) % size
        bit = _mixed(jnp.maximum(x, partner) ^ salt) & 1
        return jnp.where(bit == 1, partner, x), None

    found, _ = lax.scan(swap, places.astype(jnp.uint32), numbers)
    return found.astype(places.dtype)


def _mixed(x: UInt32[Array, "*shape"]) -> UInt32[Array, "*shape"]:
    """Mix the bits of integers: every output bit depends on all input bits (the lowbias32 hash)."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> shift)) * jnp.uint32(factor)
    return x ^ (x >> 16)
