"""Seeded mutations of files: bits, bytes, blocks, lengths and, in text, tokens."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

Mutation = Callable[[bytes, np.random.Generator], bytes]

_TOKENS = (
    *(
        b"-1",
        b"0",
        b"1e308",
        b"-1e308",
        b"1e-320",
        b"nan",
        b"inf",
        b"-inf",
        b"1_0",
        b"0x10",
        b"1,5",
    ),
    *(b"2147483648", b"4294967296", b"18446744073709551616", "\u0663".encode(), b"", b" ", b"\x00"),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"'", b'"', b"=1+1", b"$x^$", b"..", b"/etc/passwd", b"~"),
    *(b"true", b"null", b"[]", b"{}", b"&a [*a]", b"\r", b"\n", b"\t", b";", b"%s", b"a" * 5000),
    b"!!python/object/apply:os.system ['true']",
)
_INTEGERS = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)


def _flip_bits(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(random.integers(1, 9)):
        changed[random.integers(len(changed))] ^= 1 << random.integers(8)
    return bytes(changed)


def _set_bytes(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(random.integers(1, 9)):
        changed[random.integers(len(changed))] = random.integers(256)
    return bytes(changed)


def _set_integer(content: bytes, random: np.random.Generator) -> bytes:
    place = int(random.integers(len(content)))
    order = ("little", "big")[random.integers(2)]
    value = int(random.choice(_INTEGERS)).to_bytes(4, order)
    return content[:place] + value + content[place + 4 :]


def _block(content: bytes, random: np.random.Generator) -> tuple[int, int]:
    longest = min(len(content), int(2 ** random.integers(0, 14)))
    first = int(random.integers(len(content)))
    return first, first + longest


def _zero_block(content: bytes, random: np.random.Generator) -> bytes:
    first, last = _block(content, random)
    return content[:first] + bytes(len(content[first:last])) + content[last:]


def _delete_block(content: bytes, random: np.random.Generator) -> bytes:
    first, last = _block(content, random)
    return content[:first] + content[last:]


def _repeat_block(content: bytes, random: np.random.Generator) -> bytes:
    first, last = _block(content, random)
    return content[:last] + content[first:]


def _insert_noise(content: bytes, random: np.random.Generator) -> bytes:
    place = int(random.integers(len(content)))
    return content[:place] + random.bytes(int(random.integers(1, 64))) + content[place:]


def _truncate(content: bytes, random: np.random.Generator) -> bytes:
    return content[: int(random.integers(len(content)))]


def _append(content: bytes, random: np.random.Generator) -> bytes:
    return content + random.bytes(int(random.integers(1, 4096)))


def _replace_word(content: bytes, random: np.random.Generator) -> bytes:
    words = list(re.finditer(rb"[^\s,;:\"'{}\[\]<>()=/]+", content[:100_000]))
    if not words:
        return _set_bytes(content, random)
    word = words[random.integers(len(words))]
    token = _TOKENS[random.integers(len(_TOKENS))]
    return content[: word.start()] + token + content[word.end() :]


def _shuffle_lines(content: bytes, random: np.random.Generator) -> bytes:
    lines = content.split(b"\n")
    first, second = random.integers(len(lines), size=2)
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


MUTATIONS: tuple[Mutation, ...] = (
    _flip_bits, _set_bytes, _set_integer, _zero_block, _delete_block, _repeat_block, _insert_noise,
    _truncate, _append, _replace_word, _replace_word, _shuffle_lines,
)  # fmt: skip


def mutate(content: bytes, random: np.random.Generator) -> bytes:
    """Return a changed copy of a file: one to three mutations, most of them near its start.

    Parameters
    ----------
    content
        A valid file; not empty.
    random
        The generator that determines the result.
    """
    head = min(len(content), int(2 ** random.integers(6, 24)))  # headers are short
    changed, rest = content[:head], content[head:]
    for _ in range(random.integers(1, 4)):
        if changed:
            changed = MUTATIONS[random.integers(len(MUTATIONS))](changed, random)
    return changed + rest
