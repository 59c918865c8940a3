"""The section ``[ebpf]``."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

import attrs

from ironpost_core import Duration, Section, Severity, Trust, setting
from ironpost_core.former import FormerKeys
from ironpost_core.settings import between, non_empty


@attrs.frozen(kw_only=True)
class RespondConfig:
    """Which alerts ban their source, and for how long."""

    rule: str = setting(help="A glob of rule ids.", check=non_empty(), example="ssh-*")
    min_severity: Severity = setting(default=Severity.HIGH, help="The least severity that bans.")
    ttl: Duration = setting(default=Duration.parse("1h"), help="How long a ban holds.", check=between(1, 31536000))
    accept: Trust = setting(
        default=Trust.LOCAL, help="The least trust in the source address that bans; claimed lets anybody ban anybody."
    )


@attrs.frozen(kw_only=True)
class EbpfConfig:
    """The XDP program: where it is attached and what it may drop. Off, because attaching to a card is asked for."""

    enabled: bool = setting(default=False, help="Whether the XDP program is attached.")
    interfaces: tuple[str, ...] = setting(
        default=(), help="The interfaces to attach to; empty: those of the default route.", example=("eth0",)
    )
    xdp_mode: Literal["auto", "native", "generic"] = setting(
        default="auto", help="How to attach; auto tries native and falls back to generic."
    )
    enforce: bool = setting(default=False, help="Whether packets are dropped; false counts what would be.")
    max_bans: int = setting(default=65536, help="How many bans are held at most.", check=between(1, 1_000_000))
    never_ban: tuple[IPv4Network | IPv6Network, ...] = setting(
        default=(), help="Networks that are never banned, besides the host's own addresses."
    )
    feeds: tuple[Path, ...] = setting(default=(), help="Files with addresses or networks to ban, one a line.")
    respond: tuple[RespondConfig, ...] = setting(default=(), help="Which alerts ban their source.")


def _former(keys: FormerKeys) -> None:
    """The keys of the first design."""
    keys.renamed("interface", "interfaces", kind=str, into=lambda name: [name])
    keys.renamed("blocklist_max_entries", "max_bans")
    keys.reworded("xdp_mode", "skb", "generic")
    keys.reworded("xdp_mode", "hw", "auto", "nothing is offloaded to the card")
    keys.gone("ring_buffer_size", "packets are counted in the kernel, so there is no buffer to size")


SECTION = Section(name="ebpf", type=EbpfConfig, help="Count, detect and drop packets in the kernel.", former=_former)
