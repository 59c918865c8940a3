from __future__ import annotations

from logpipe.helpers import file_chunk


def test_offsets_of_lines() -> None:
    chunk = file_chunk([b"abc", b"", b"de\r"], before=b"12345\n")
    assert chunk.offsets()[:3] == [6, 10, 11]
    assert chunk.first(2).lines == [b"abc", b""]
    assert len(chunk) == 3
