"""The section ``[log_pipeline]``."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs

from ironpost_core.config import Section
from ironpost_core.settings import (
    Duration,
    Size,
    Validator,
    between,
    each,
    matches,
    non_empty,
    one_of,
    setting,
    together_with,
    when_enabled,
)
from ironpost_logpipe.buffer import DropPolicy
from ironpost_logpipe.rules import Override
from ironpost_logpipe.tail import Start

#: What is read when no source is configured; those that are not there may come later.
USUAL_LOGS = (
    *("/var/log/auth.log", "/var/log/syslog", "/var/log/messages", "/var/log/secure"),
    # Not nginx's error.log: whoever sends a request can write whole lines into it, such as sshd's.
    *("/var/log/nginx/access.log", "/var/log/apache2/access.log", "/var/log/apache2/error.log"),
)
#: The first of these are written by a syslog daemon, whose lines are in the journal, too.
_SYSLOG_LOGS = USUAL_LOGS[:4]
DOCKER_LOGS = "/var/lib/docker/containers/*/*-json.log"
Format: TypeAlias = Literal[
    "auto", "syslog", "json", "access", "apache-error", "nginx-error", "logfmt", "plain", "docker"
]
InnerFormat: TypeAlias = Literal["auto", "syslog", "json", "access", "apache-error", "nginx-error", "logfmt", "plain"]
TrustName: TypeAlias = Literal["claimed", "network", "local"]
Network: TypeAlias = IPv4Network | IPv6Network
_FORMAT = (
    "How lines are read. `auto` looks at each; all others but `plain` count lines that they can't read as parse errors."
)
_CONNECTIONS = 256
_IDLE_TIMEOUT = Duration.parse("1h")
_UNIT_SUFFIXES = (
    *(".service", ".scope", ".slice", ".socket", ".mount", ".swap", ".target", ".timer", ".path", ".device"),
    ".automount",
)
_NAME = "What it is called in messages; made of its paths or address when empty."


def address_of(listen: str) -> tuple[str, int]:
    """Host and port of ``127.0.0.1:5514``, ``[::1]:5514`` or ``:5514`` (all addresses).

    Raises:
        ValueError: anything else.
    """
    host, colon, port = listen.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        if host:
            ipaddress.ip_address(host)
        good = bool(colon) and port.isascii() and port.isdigit() and int(port) <= 65535
    except ValueError:
        good = False
    if not good:
        raise ValueError('expected an address with a port such as "127.0.0.1:5514" or "[::1]:5514"')
    return host, int(port)


def _followable(instance: object, attribute: attrs.Attribute[Any], value: tuple[Path, ...]) -> None:
    non_empty()(instance, attribute, value)
    for path in map(str, value):
        if "\0" in path:
            raise ValueError("expected paths without NUL characters")
        if any("**" in part and part != "**" for part in Path(path).parts):
            raise ValueError("expected ** to stand alone between two slashes")


def _bundled(_instance: object, attribute: attrs.Attribute[Any], value: str) -> None:
    """A pack that comes with this package. Imported late: a configuration without packs needs no rules."""
    from ironpost_logpipe.rulefiles import bundled_packs

    one_of(*bundled_packs())(_instance, attribute, value)


def _listenable(_instance: object, _attribute: attrs.Attribute[Any], value: str) -> None:
    address_of(value)


def _only_with(*protocols: str) -> Validator:
    """The key is of use with these protocols of a syslog source."""

    def check(instance: Any, _attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None and instance.protocol not in protocols:
            allowed = " or ".join(f'"{name}"' for name in protocols)
            raise ValueError(f'only of use with protocol = {allowed}, not "{instance.protocol}"')

    return check


def _certified(instance: Any, _attribute: attrs.Attribute[Any], value: str) -> None:
    if value == "tls" and instance.tls_cert is None and instance.tls_key is None:
        raise ValueError('"tls" needs the listener\'s certificate and its key: set tls_cert and tls_key')


def _argument(_instance: object, _attribute: attrs.Attribute[Any], value: object) -> None:
    if "\0" in str(value):
        raise ValueError("expected a text without NUL characters")


def _distinct_journals(_instance: object, _attribute: attrs.Attribute[Any], value: tuple[Source, ...]) -> None:
    keys = [source.key for source in value if isinstance(source, JournalSource)]
    if len(set(keys)) < len(keys):
        raise ValueError("two sources read the same journal: give each a name of its own")


@attrs.frozen(kw_only=True)
class FileSource:
    """Log files that are followed."""

    type: Literal["file"] = setting(default="file", help="Follows files.")
    name: str = setting(default="", help=_NAME)
    paths: tuple[Path, ...] = setting(
        help="Files, or patterns with * and ?. One that is not there yet may come later.",
        check=_followable,
        example=(Path("/var/log/auth.log"),),
    )
    format: Format = setting(default="auto", help=_FORMAT)
    start: Start = setting(
        default="window",
        help="Where to begin in a file that was never read before: `window` at what the rules may still count, "
        "`end`, or `beginning`.",
    )
    trust: TrustName | None = setting(
        default=None,
        help="What its lines are worth: `local`, or `claimed` when every user may write to the file, unless set.",
    )


@attrs.frozen(kw_only=True)
class DockerSource:
    """The logs of Docker's containers, as its json-file driver writes them."""

    type: Literal["docker"] = setting(default="docker", help="Follows the logs of Docker's containers.")
    name: str = setting(default="", help=_NAME)
    paths: tuple[Path, ...] = setting(
        default=(Path(DOCKER_LOGS),),
        help="Their files, or patterns with * and ?; a file's name tells its container.",
        check=_followable,
    )
    format: InnerFormat = setting(default="auto", help="How what containers write is read, once it is unwrapped.")
    start: Start = setting(default="end", help="Where to begin in a file that was never read before.")
    trust: TrustName = setting(
        default="claimed", help="What its lines are worth; a container writes into its log what it likes."
    )


@attrs.frozen(kw_only=True)
class JournalSource:
    """The systemd journal. What an entry is worth is told by who wrote it, so there is no `trust`."""

    type: Literal["journal"] = setting(default="journal", help="Follows the systemd journal, by journalctl.")
    name: str = setting(default="", help=_NAME)
    units: tuple[str, ...] = setting(
        default=(),
        help="Only what these units wrote; no patterns: for instances use `matches` with their slice.",
        check=each(matches("a unit's name without * and ?", r"[\w:.\\@-]+")),
        example=("ssh.service",),
    )
    identifiers: tuple[str, ...] = setting(
        default=(), help="Only what these programs wrote, by the name they give themselves.", check=each(_argument)
    )
    matches: tuple[str, ...] = setting(
        default=(),
        help="Only entries with these fields; of one field any value will do, of several fields all must fit.",
        check=each(matches("FIELD=value", r"[A-Z0-9_]+=[^\0]*")),
        example=("_SYSTEMD_SLICE=system-postfix.slice",),
    )
    directory: Path | None = setting(
        default=None, help="The folder with the journal's files, when it is not this machine's own.", check=_argument
    )
    start: Start = setting(default="end", help="Where to begin in a journal that was never read before.")

    @property
    def key(self) -> str:
        """Its name, which also tells its place in the checkpoint from those of others."""
        return "journal" + (f" {self.name or self.directory}" if self.name or self.directory else "")

    @property
    def filters(self) -> tuple[str, ...]:
        """What entries must have, as journalctl takes it."""
        units = (unit if unit.endswith(_UNIT_SUFFIXES) else f"{unit}.service" for unit in self.units)
        return (
            *(f"_SYSTEMD_UNIT={unit}" for unit in units),
            *(f"SYSLOG_IDENTIFIER={identifier}" for identifier in self.identifiers),
            *self.matches,
        )


@attrs.frozen(kw_only=True)
class StdinSource:
    """What is piped into the daemon."""

    type: Literal["stdin"] = setting(default="stdin", help="Reads standard input up to its end.")
    name: str = setting(default="", help=_NAME)
    format: Format = setting(default="auto", help=_FORMAT)
    trust: TrustName = setting(
        default="claimed", help="What its lines are worth; only you know what writes into the pipe."
    )


@attrs.frozen(kw_only=True)
class SyslogSource:
    """A syslog listener."""

    type: Literal["syslog"] = setting(default="syslog", help="Receives syslog.")
    name: str = setting(default="", help=_NAME)
    listen: str = setting(
        default="127.0.0.1:5514", help="Address and port to listen on; other hosts need more.", check=_listenable
    )
    protocol: Literal["udp", "tcp", "tls"] = setting(
        default="udp",
        help="The transport. How a stream's messages are framed (counted or by lines) is found out.",
        check=_certified,
    )
    format: Format = setting(default="auto", help=_FORMAT)
    allow_from: tuple[Network, ...] = setting(
        default=(),
        help="Networks that may send; others are refused and counted. Empty: everybody.",
        example=(IPv4Network("10.0.0.0/8"),),
    )
    trust: TrustName | None = setting(
        default=None,
        help="What its lines are worth: `claimed`, or `network` when `tls_ca` proves who sends, unless set.",
    )
    tls_cert: Path | None = setting(
        default=None,
        help="The listener's certificate chain in a PEM file, its own certificate first.",
        check=[_only_with("tls"), together_with("tls_key")],
        example=Path("/etc/ironpost/syslog.crt"),
    )
    tls_key: Path | None = setting(
        default=None,
        help="The certificate's private key in a PEM file, unencrypted.",
        check=[_only_with("tls"), together_with("tls_cert")],
        example=Path("/etc/ironpost/syslog.key"),
    )
    tls_ca: Path | None = setting(
        default=None,
        help="When set, senders must show a certificate that one of this PEM file's authorities signed.",
        check=_only_with("tls"),
        example=Path("/etc/ironpost/senders-ca.crt"),
    )
    max_connections: int | None = setting(
        default=None,
        help=f"Connections at the same time, {_CONNECTIONS} unless set; further ones are refused and counted.",
        unit="connections",
        example=_CONNECTIONS,
        check=[_only_with("tcp", "tls"), between(1, 10_000)],
    )
    idle_timeout: Duration | None = setting(
        default=None,
        help=f"How long a connection may be silent before it is closed, {_IDLE_TIMEOUT} unless set.",
        example=_IDLE_TIMEOUT,
        check=[_only_with("tcp", "tls"), between(1, 7 * 86_400)],
    )

    @property
    def worth(self) -> TrustName:
        """The trust that is meant."""
        return self.trust or ("network" if self.tls_ca is not None else "claimed")

    @property
    def connections(self) -> int:
        """How many connections there may be."""
        return self.max_connections or _CONNECTIONS

    @property
    def patience(self) -> float:
        """How many seconds a connection may be silent."""
        return self.idle_timeout or _IDLE_TIMEOUT


Source: TypeAlias = FileSource | DockerSource | SyslogSource | JournalSource | StdinSource


@attrs.frozen(kw_only=True)
class LogPipelineConfig:
    """Reading logs and matching rules."""

    enabled: bool = setting(default=True, help="Whether logs are read.")
    sources: tuple[FileSource | DockerSource | SyslogSource | JournalSource | StdinSource, ...] = setting(
        default=(),
        help="Where logs come from. Without any, the journal or else the machine's usual logs are followed.",
        check=_distinct_journals,
    )
    rule_dirs: tuple[Path, ...] = setting(
        default=(),
        help="Folders with rules of your own (*.yaml); one with a bundled rule's id replaces it.",
        example=(Path("/etc/ironpost/rules"),),
    )
    packs: tuple[str, ...] = setting(
        default=("sshd", "sudo"), help="The bundled rules that are used.", check=when_enabled(each(_bundled))
    )
    override: tuple[Override, ...] = setting(default=(), help="Changes to rules that are not yours to edit.")
    batch_size: int = setting(
        default=1000, help="Lines that are worked on at once.", unit="lines", check=when_enabled(between(1, 10_000))
    )
    flush_interval: Duration = setting(
        default=Duration.parse("100ms"),
        help="How long lines wait for a batch to fill.",
        check=when_enabled(between(0, 10)),
    )
    buffer_capacity: int = setting(
        default=100_000,
        help="Lines that may wait; files and streams wait themselves and take at most half of it.",
        unit="lines",
        check=when_enabled(between(10, 10_000_000)),
    )
    buffer_size: Size = setting(
        default=Size.parse("64MiB"),
        help="Bytes of received datagrams that may wait; of files and streams, half as many.",
        check=when_enabled(between(1 << 17, 1 << 34)),
    )
    drop_policy: DropPolicy = setting(
        default="oldest",
        help="Which datagrams are dropped when the buffer is full; lines of files and streams are never.",
    )
    threshold_keys: int = setting(
        default=65_536,
        help="Keys (such as addresses) whose events are counted at the same time; the longest unused is forgotten.",
        unit="keys",
        check=when_enabled(between(16, 10_000_000)),
    )


def section() -> Section[LogPipelineConfig]:
    """The section, as the daemon wants to know it."""
    from ironpost_logpipe.former import former  # late, because it needs what is defined above

    return Section(name="log_pipeline", type=LogPipelineConfig, help="Reading logs and matching rules.", former=former)


def sources_of(config: LogPipelineConfig, *, journal: bool = False) -> tuple[Source, ...]:
    """The sources that are meant: those configured, else the usual ones.

    With a `journal`, that is what is read: it knows who wrote an entry. A syslog daemon beside it writes the same lines
    to its files, so these are left alone then; web servers write to their own files in any case.
    """
    if config.sources:
        return config.sources
    if not journal:
        return (FileSource(name="usual logs", paths=tuple(map(Path, USUAL_LOGS))),)
    others = tuple(path for path in map(Path, USUAL_LOGS) if str(path) not in _SYSLOG_LOGS and path.exists())
    return (JournalSource(), *((FileSource(name="usual logs", paths=others),) if others else ()))
