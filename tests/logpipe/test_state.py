from __future__ import annotations

import pytest

from ironpost_logpipe.chunks import Cursor, Position
from ironpost_logpipe.state import StateError, decode, encode
from ironpost_logpipe.thresholds import Burst, Windows


def test_what_is_decoded_is_what_was_encoded() -> None:
    windows, pauses = Windows(5000), []
    for number in range(2500):
        windows.add(("rule", "local", (b"\xff%d" % number, b"")), 1.5 + number, 3, 10)
    before = (Position("/a", 1, 4, b"x", 8, 9), Position("/a", 1, 5, b"y", 6, 7))
    positions = {
        "/a": Position("/a", 1, 2, b"\x00\xff", 77, 12, before),
        "/b\udcff": Position("/b\udcff", 1, 3, b"", 0),
        "journal": Cursor("journal", b"s=1;i=2"),
    }
    data = encode(positions, windows, lambda: pauses.append(1))
    restored = Windows(5000)
    assert decode(data, restored) == positions
    assert list(restored.dump()) == list(windows.dump())
    assert len(pauses) == 3


def test_nothing_is_also_something() -> None:
    assert decode(encode({}, Windows(1)), Windows(1)) == {}


def test_a_checkpoint_from_before_there_were_journals_is_read() -> None:
    data = encode({"/a": Position("/a", 1, 2, b"", 7)}, Windows(1)).replace(b', "journals": []', b"")
    assert b"journals" not in data
    assert set(decode(data, Windows(1))) == {"/a"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"version":99}',
        b"\xff",
        b'{"version":1,"files":[[1]],"windows":[]}',
        b'{"version":1,"files":[],"journals":[["a",1]],"windows":[]}',
    ],
)
def test_what_another_version_wrote_is_refused(data: bytes) -> None:
    with pytest.raises(StateError):
        decode(data, Windows(1))


def test_what_is_too_much_for_a_checkpoint_is_forgotten_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironpost_logpipe.state._LARGEST", 10_000)
    monkeypatch.setattr("ironpost_logpipe.state._SLICE", 10)
    windows = Windows(5000)
    for number in range(1000):
        windows.add(("rule", "local", (b"%d" % number,)), float(number), 3, 10)
    data = encode({}, windows)
    assert 7_000 < len(data) <= 10_100
    assert len(windows) + windows.evictions == 1000
    restored = Windows(5000)
    decode(data, restored)
    assert list(restored.dump()) == list(windows.dump())
    assert list(restored.dump())[-1][2] == ["999"]
    windows.add(("rule", "local", (b"\xff" * 64_000,)), 1.0, 3, 10)
    assert decode(encode({}, windows), Windows(5)) == {}  # one that is too large alone goes, too
    assert len(windows) == 0


def test_what_version_1_wrote_is_still_read() -> None:
    data = (
        b'{"version": 1, "files": [["/a", 1, 2, "AP8=", 77]],'
        b'"windows":[["r","local",["\\u00ff"],3,[1.5,2.5],null,0,null],["q","claimed",[],2,[],9.0,1,3.0]]}'
    )
    windows = Windows(10)
    assert decode(data, windows) == {"/a": Position("/a", 1, 2, b"\x00\xff", 77)}
    assert [row[0] for row in windows.dump()] == ["r", "q"]
    assert windows.add(("r", "local", (b"\xff",)), 3, 3, 10) == Burst(3, 1.5, 3)
    assert windows.fired(("q", "claimed", ())) == 9.0


def test_all_kinds_are_stored() -> None:
    windows, restored = Windows(10), Windows(10)
    windows.is_new(("new", "local", (b"a",)), 1.5, 30, 7)
    windows.add_value(("distinct", "local", (b"a",)), b"\xff", 1.5, 2, 10)
    windows.add(("count", "local", (b"a",)), 1.5, 2, 10)
    decode(encode({}, windows), restored)
    assert list(restored.dump()) == list(windows.dump())
    assert len(list(restored.dump())) == 4
