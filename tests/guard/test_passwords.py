"""Passwords: right or wrong, off the event loop, remembered, bounded, and nothing to learn from how long it takes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import bcrypt
import pytest

from guard.passwords import Busy, Passwords, check_hash, nobodys_hash

HASH = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()


def run(test: Callable[[Passwords], Coroutine[Any, Any, None]], **bounds: int) -> None:
    async def whole() -> None:
        passwords = Passwords(**bounds)
        try:
            await asyncio.wait_for(test(passwords), 60)
        finally:
            passwords.close()

    asyncio.run(whole())


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
def test_right_is_right_whoever_made_the_hash(prefix: str) -> None:
    async def test(passwords: Passwords) -> None:
        hashed = prefix + HASH[4:]
        check_hash(hashed)
        assert await passwords.verify(b"right", hashed)
        assert not await passwords.verify(b"wrong", hashed)

    run(test)


@pytest.mark.parametrize("password", [b"", b"\0", b"a\0b", b"x" * 72, b"x" * 5000, b"\xff\xfe"])
def test_no_password_breaks_anything(password: bytes) -> None:
    async def test(passwords: Passwords) -> None:
        assert not await passwords.verify(password, HASH)

    run(test)


def test_what_comes_after_72_bytes_does_not_count_as_in_other_programs() -> None:
    async def test(passwords: Passwords) -> None:
        hashed = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
        assert await passwords.verify(b"x" * 72 + b"more", hashed)

    run(test)


def test_only_what_was_right_is_known_again_and_only_for_that_hash() -> None:
    async def test(passwords: Passwords) -> None:
        assert not passwords.is_known(b"right", HASH)
        await passwords.verify(b"wrong", HASH)
        await passwords.verify(b"right", HASH)
        assert passwords.is_known(b"right", HASH)
        assert not passwords.is_known(b"wrong", HASH)
        assert not passwords.is_known(b"right", bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode())

    run(test)


def test_what_is_remembered_is_bounded() -> None:
    async def test(passwords: Passwords) -> None:
        hashes = [bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode() for _ in range(3)]
        for each in hashes:
            assert await passwords.verify(b"right", each)
        assert [passwords.is_known(b"right", each) for each in hashes] == [False, True, True]

    run(test, remembered_max=2)


def test_the_loop_goes_on_meanwhile_and_who_is_too_many_is_told_so() -> None:
    async def test(passwords: Passwords) -> None:
        held = threading.Event()
        passwords._thread.submit(held.wait)  # the one thread is taken
        try:
            first = asyncio.create_task(passwords.verify(b"right", HASH))
            same = asyncio.create_task(passwords.verify(b"right", HASH))  # waits for the same answer
            await asyncio.sleep(0)
            with pytest.raises(Busy):
                await passwords.verify(b"another", HASH)
        finally:
            held.set()
        assert (await first, await same) == (True, True)
        assert not await passwords.verify(b"another", HASH)

    run(test, waiting_max=1)


def test_nobodys_hash_costs_as_much_as_the_slowest_and_fits_nothing() -> None:
    assert nobodys_hash([]).startswith("$2b$10$")
    made = nobodys_hash([HASH, "$2y$07$" + HASH[7:]])
    assert made.startswith("$2b$07$")
    check_hash(made)
    assert not any(bcrypt.checkpw(each, made.encode()) for each in (b"", b"right", b"."))


@pytest.mark.parametrize("text", ["", "secret", HASH[:-1], "$2b$03$" + HASH[7:], "$2b$16$" + HASH[7:], HASH + "\n"])
def test_what_is_no_hash_is_told_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="a bcrypt hash with a cost from 4 to 15") as raised:
        check_hash(text)
    assert not text or text not in str(raised.value)
