"""Lists of malicious addresses: as they are published, in memory, and as files that change."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.control import Plan, Refused
from exporter.detectors import lists
from exporter.detectors.lists import Listed, Ranges, Unusable, parsed
from exporter.identity import address_of
from exporter.listfiles import FILE_BYTES_MAX, ListFiles
from tests.exporter.builders import promptly
from tests.exporter.detecting import Watch, failed
from tests.exporter.mapped import settings


def on(ranges: Ranges, *texts: str) -> list[bool]:
    return [number is not None and list(ranges.among([number])) == [number] for number in map(address_of, texts)]


@pytest.mark.parametrize(
    "text",
    [
        "203.0.113.7\n198.51.100.0/24\n",
        "# a list\n\n  203.0.113.7   # who\n198.51.100.0/24\t; SBL123\n; the end",
        "; Spamhaus DROP List\n198.51.100.0/24 ; SBL256894\r\n203.0.113.7/32 ; SBL1\r\n",
        "203.0.113.7 bad.example\n198.51.100.77/24 worse.example\n0.0.0.0 ads.example\n127.0.0.1 localhost\n::1 me",
        'ip,seen\n"203.0.113.7",2026-11-22,443\n198.51.100.0/24,2026-11-22,443\n',
        "203.0.113.7:8080\n198.51.100.0/25\n198.51.100.128/25\n",
    ],
)
def test_lists_are_read_as_they_are_published(text: str) -> None:
    read = parsed(text)
    assert (read.unreadable, list(read.wrong)) == (0, [])
    assert on(read.ranges, "203.0.113.7", "198.51.100.255") == [True, True]
    assert on(read.ranges, "203.0.113.6", "203.0.113.8", "198.51.101.0", "198.51.99.255", "127.0.0.1") == [False] * 5


def test_an_ipv6_address_stands_for_its_64() -> None:
    ranges = parsed("2001:db8:1:2::3\n2001:db8:5::/48\n2001:db8:7:8:9::/80\n").ranges
    assert on(ranges, "2001:db8:1:2::99", "2001:db8:5:ffff::1", "2001:db8:7:8::") == [True] * 3
    assert on(ranges, "2001:db8:1:3::3", "2001:db8:6::", "2001:db8:7:9::") == [False] * 3


def test_lines_that_cannot_be_read_are_counted_and_the_first_ones_named() -> None:
    read = parsed("203.0.113.7\n" + "nonsense\n" * 9 + "1.2.3.4/33\n1.2.3.4/x\n128.0.0.0/1\n2001:db8::/129\n")
    assert (read.entries, read.unreadable, list(read.wrong)) == (1, 13, [2, 3, 4, 5, 6])


@pytest.mark.parametrize("text", ["<html>\n<p>busy</p>\n", "1.2.3.4/0\n"])
def test_what_is_no_list_is_not_used(text: str) -> None:
    with pytest.raises(Unusable):
        parsed(text)


def test_a_list_that_is_too_long_is_not_used() -> None:
    text = "203.0.113.7\n" * lists.ENTRIES_MAX
    assert parsed(text).entries == lists.ENTRIES_MAX
    with pytest.raises(Unusable, match="more than"):
        parsed(text + "203.0.113.8")


NETWORKS = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 2**32 - 1), st.integers(3, 32)).map(lambda pair: ip_network(pair, strict=False)),
        st.tuples(st.integers(2**120, 2**128 - 1), st.integers(3, 64)).map(lambda it: ip_network(it, strict=False)),
    ),
    min_size=1,
    max_size=30,
)


@given(NETWORKS, st.data())
def test_an_address_is_on_the_list_if_it_is_in_a_network(networks: list[object], data: st.DataObject) -> None:
    nets = [ip_network(str(each)) for each in networks]
    ranges = parsed("\n".join(map(str, nets))).ranges
    edges = [int(end) + step for net in nets for end in (net[0], net[-1]) for step in (-1, 0, 1)]
    number = data.draw(st.sampled_from(edges) | st.integers(2, 2**32 - 1))
    if not 2**32 > number > 1 and not 2**128 > number >= 2**120:
        return
    address = ip_address(number)
    if str(address.__class__(number)) in ("127.0.0.1", "0.0.0.0"):
        return
    left = any(str(net).partition("/")[0] in ("0.0.0.0", "127.0.0.1", "::", "::1") for net in nets)
    inside = any(address in net for net in nets if net.version == address.version)
    assert left or on(ranges, str(address)) == [inside]


def test_who_is_on_a_list_is_found_whatever_he_does_and_nobody_of_ones_own() -> None:
    watch = Watch("detectors: {malicious_address: {files: [drop.txt], severity: medium}}")
    assert watch.take(failed("203.0.113.7")) == []
    watch.detecting.listed.use({"drop.txt": parsed("203.0.113.0/24\n10.0.0.0/8\n").ranges})
    paid = {"event": "transaction", "amount": 1, "ip": "203.0.113.8"}
    found = watch.take(failed("203.0.113.7"), failed("203.0.113.7"), failed("10.0.0.1"), failed("203.0.114.1"), paid)
    assert [(each.detector, each.severity) for each in found] == [("malicious_address", "medium")] * 2
    assert {each.address for each in found} == {address_of("203.0.113.7"), address_of("203.0.113.8")}
    assert "drop.txt" in found[0].why


def test_without_a_list_the_detector_is_off() -> None:
    watch = Watch()
    assert watch.metrics()["security_detector_enabled"]["malicious_address",] == 0
    assert "permission" not in watch.detection.asked


# --- files -------------------------------------------------------------------------------------------------------


def plan_of(*files: Path) -> Plan:
    names = ", ".join(map(str, files))
    return Plan((), 8.0, file=settings(f"detectors: {{malicious_address: {{files: [{names}]}}}}"))


@asynccontextmanager
async def following(listed: Listed, *files: Path) -> AsyncIterator[ListFiles]:
    follower = ListFiles(listed, look_seconds=0.01)
    follower.prepare(plan_of(*files))()
    async with follower:
        yield follower


def metrics(files: ListFiles) -> dict[str, dict[str, object]]:
    return {
        family.name: {label: value for (label,), value in family.samples}
        for family in files.families(0.0)
        if family.name != "security_list_last_read_timestamp_seconds"
    }


async def until(files: ListFiles, **expected: dict[str, float]) -> None:
    """These metrics are so, by list."""
    while any(metrics(files)[f"security_list_{name}"] != values for name, values in expected.items()):  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def shows(files: ListFiles, entries: int, unreadable: int, successful: int) -> None:
    """Of the only list."""
    await until(
        files,
        entries={"drop.txt": entries},
        unreadable_lines={"drop.txt": unreadable},
        last_read_successful={"drop.txt": successful},
    )


def put(path: Path, text: str) -> None:
    """As a job does: what is read is whole."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def test_a_file_is_read_again_when_it_has_changed_and_what_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    path, listed = tmp_path / "drop.txt", Listed()
    address = address_of("203.0.113.7")
    assert address is not None

    async def scenario() -> None:
        async with following(listed, path) as files:
            await shows(files, 0, 0, 0)
            put(path, "203.0.113.7\nnonsense\n")
            await shows(files, 1, 1, 1)
            assert list(listed.found([address])) == [(address, "drop.txt")]
            put(path, "<html>\n")
            await shows(files, 1, 1, 0)
            assert list(listed.found([address])) == [(address, "drop.txt")]
            path.unlink()
            path.mkdir()
            await shows(files, 1, 1, 0)
            path.rmdir()
            put(path, "198.51.100.0/24\n198.51.101.7\n")
            await shows(files, 2, 0, 1)
            assert list(listed.found([address])) == []

    promptly(scenario())


def test_a_file_that_is_too_large_is_not_used_and_one_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    large, pipe = tmp_path / "large", tmp_path / "pipe"
    with large.open("wb") as file:
        file.truncate(FILE_BYTES_MAX + 1)
    os.mkfifo(pipe)
    good = tmp_path / "good"
    good.write_text("203.0.113.7\n")

    async def scenario() -> None:
        async with following(Listed(), large, pipe, good) as files:
            await until(files, entries={"large": 0, "pipe": 0, "good": 1})
            assert metrics(files)["security_list_last_read_successful"] == {"large": 0, "pipe": 0, "good": 1}

    promptly(scenario())


def test_a_list_that_is_taken_out_is_in_force_no_longer_and_the_others_stay(tmp_path: Path) -> None:
    one, other, listed = tmp_path / "one", tmp_path / "other", Listed()
    one.write_text("203.0.113.7\n")
    other.write_text("203.0.113.8\n")
    numbers = [number for number in map(address_of, ("203.0.113.7", "203.0.113.8")) if number is not None]

    async def scenario() -> None:
        async with following(listed, one, other) as files:
            await until(files, entries={"one": 1, "other": 1})
            files.prepare(plan_of(other))()
            assert metrics(files)["security_list_entries"] == {"other": 1}
            assert list(listed.found(numbers)) == [(numbers[1], "other")]

    promptly(scenario())


def test_two_lists_of_the_same_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="names that differ"):
        ListFiles(Listed()).prepare(plan_of(tmp_path / "a" / "drop.txt", tmp_path / "b" / "drop.txt"))
