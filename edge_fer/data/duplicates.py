"""Repeated pictures: exact, by a hash of the pixels, and near, by a perceptual hash.

A near duplicate is the same picture scaled, recompressed, brightened or with a watermark. It is
found with ImageHash's ``phash``: 64 bits, of which two unrelated pictures differ in about half.

The default threshold was chosen on FER2013, on 60 random pairs at each distance looked at by eye
(distances between such hashes are even). At 2 and at 4 bits all but one or two pairs are the same
picture; at 6 bits a tenth are different people, at 8 bits about half. So 4 bits find near
duplicates almost without false ones; some real ones are missed.

Shape suffixes: N items, K different hashes, P pairs, H height, W width.
"""

import hashlib
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edge_fer.errors import MissingExtraError

NEAR_BITS = 4
_HASH_BITS = 64
_ONES = np.array([value.bit_count() for value in range(1 << 16)], np.uint8)


@dataclass(frozen=True)
class Likeness:
    """Which items count as the same picture.

    Attributes:
        keys_N: Index of each item's hash among the different ones.
        links_P2: Pairs of different hashes that count as the same picture too.
    """

    keys_N: np.ndarray
    links_P2: np.ndarray

    def repeats(self) -> np.ndarray:
        """Returns bool ``[N]``, True where an item is like an earlier one."""
        first_K = self._first_items()
        earliest_K = first_K.copy()
        a_P, b_P = self.links_P2.T
        np.minimum.at(earliest_K, a_P, first_K[b_P])
        np.minimum.at(earliest_K, b_P, first_K[a_P])
        return np.asarray(earliest_K[self.keys_N] < np.arange(len(self.keys_N)))

    def also_in(self, reference_N: np.ndarray) -> np.ndarray:
        """Returns bool ``[N]``, True where an item is like one of the reference (a mask)."""
        known_K = np.zeros(self._different(), bool)
        known_K[self.keys_N[reference_N]] = True
        like_K = known_K.copy()
        a_P, b_P = self.links_P2.T
        like_K[b_P[known_K[a_P]]] = True
        like_K[a_P[known_K[b_P]]] = True
        return np.asarray(like_K[self.keys_N])

    def _first_items(self) -> np.ndarray:
        first_K = np.full(self._different(), len(self.keys_N))
        np.minimum.at(first_K, self.keys_N, np.arange(len(self.keys_N)))
        return first_K

    def _different(self) -> int:
        return int(self.keys_N.max(initial=-1)) + 1


def pixel_hash(gray: np.ndarray) -> bytes:
    """Hashes pixels and size: equal for equal pictures, and else different."""
    digest = hashlib.blake2b(repr(gray.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(gray).data)
    return digest.digest()


def perceptual_hasher() -> Callable[[np.ndarray], int]:
    """Returns the function that gives a gray uint8 ``[H, W]`` picture its 64-bit ``phash``.

    Raises:
        MissingExtraError: ImageHash is not installed.
    """
    try:
        imagehash = importlib.import_module("imagehash")
        pillow = importlib.import_module("PIL.Image")
    except ModuleNotFoundError as error:
        raise MissingExtraError("Near duplicates", "data") from error

    def hash_picture(gray_HW: np.ndarray) -> int:
        bits = imagehash.phash(pillow.fromarray(np.ascontiguousarray(gray_HW))).hash
        return int.from_bytes(np.packbits(bits).tobytes(), "big")

    return hash_picture


def exact_likeness(hashes: Sequence[bytes]) -> Likeness:
    """Items are alike if their pixel hashes are equal."""
    index = {value: position for position, value in enumerate(dict.fromkeys(hashes))}
    keys_N = np.array([index[value] for value in hashes], np.int64)
    return Likeness(keys_N, np.empty((0, 2), np.int64))


def near_likeness(hashes: Sequence[int], bits: int = NEAR_BITS) -> Likeness:
    """Items are alike if their perceptual hashes differ in at most ``bits`` bits."""
    different_K, keys_N = np.unique(np.array(hashes, np.uint64), return_inverse=True)
    return Likeness(keys_N.astype(np.int64), similar_pairs(different_K, bits))


def similar_pairs(hashes_K: np.ndarray, bits: int) -> np.ndarray:
    """Finds all pairs of different 64-bit hashes within a Hamming distance.

    Two hashes that differ in at most ``bits`` bits are equal in at least one of ``bits + 1`` bands
    of their bits, so only hashes that share a band are compared.

    Args:
        hashes_K: uint64, each once.
        bits: Largest distance, 0 .. 63.

    Returns:
        int64 ``[P, 2]`` indices, the smaller first, each pair once, sorted.
    """
    edges = np.linspace(0, _HASH_BITS, bits + 2).astype(int)
    found = [
        _pairs_in_band(hashes_K, int(low), int(high - low), bits) for low, high in pairwise(edges)
    ]
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _pairs_in_band(hashes_K: np.ndarray, low: int, width: int, bits: int) -> np.ndarray:
    """Compares every hash with the next, the next but one, ... that share its band."""
    band_K = (hashes_K >> np.uint64(low)) & np.uint64((1 << width) - 1)
    order_K = np.argsort(band_K, kind="stable")
    band_K, sorted_K = band_K[order_K], hashes_K[order_K]
    found = [np.empty((0, 2), np.int64)]
    at, step = np.arange(len(hashes_K)), 1
    while True:
        at = at[at + step < len(hashes_K)]
        at = at[band_K[at] == band_K[at + step]]
        if not at.size:
            return np.concatenate(found)
        close = at[_distance(sorted_K[at], sorted_K[at + step]) <= bits]
        found.append(np.stack([order_K[close], order_K[close + step]], axis=1))
        step += 1


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    words = (a ^ b).view(np.uint16).reshape(-1, 4)
    return np.asarray(_ONES[words].sum(axis=1, dtype=np.uint8))
