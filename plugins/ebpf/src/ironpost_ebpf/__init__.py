"""The eBPF plugin: counts, detects and drops packets in the kernel with XDP."""

from __future__ import annotations

from ironpost_ebpf.plugin import EbpfPlugin

__all__ = ["EbpfPlugin"]
