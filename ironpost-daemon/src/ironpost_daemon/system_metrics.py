"""The host's CPUs, memory, file systems and disks, as ``ironpost_system_*``.

Neighbours: `exposition` runs the readers beside each scrape, `parts` registers them unless the configuration says no.
The formats are those of proc(5) and of the kernel's Documentation/admin-guide/iostats.rst.

- Each source is read for itself. One that can't be read keeps what it gave last, and the others go on.
- What was never read is not exported. A counter at 0 that later jumps to what was counted since boot would be taken
  for an enormous rate, and a size of 0 for an alarm.
- Counters never fall. The kernel's own do (idle and iowait by a little, a disk's when it is pulled out), and a fall
  would be taken for a restart from 0.
- Files of the kernel don't hang, but statvfs does on a network file system whose server is gone: so the file systems
  have a collector of their own, and while they hang the rest stays true.
"""

from __future__ import annotations

import logging
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import attrs
from prometheus_client.core import Metric

from ironpost_core.instruments import Metrics, Reading
from ironpost_core.metrics import (
    CPU_MODES,
    FILESYSTEMS,
    LABEL_FILESYSTEM,
    SYSTEM_CPU_SECONDS_TOTAL,
    SYSTEM_CPUS,
    SYSTEM_DISK_READ_BYTES_TOTAL,
    SYSTEM_DISK_WRITTEN_BYTES_TOTAL,
    SYSTEM_FILESYSTEM_AVAILABLE_BYTES,
    SYSTEM_FILESYSTEM_SIZE_BYTES,
    SYSTEM_MEMORY_AVAILABLE_BYTES,
    SYSTEM_MEMORY_SIZE_BYTES,
    SYSTEM_SWAP_FREE_BYTES,
    SYSTEM_SWAP_SIZE_BYTES,
    catalogue_of,
)
from ironpost_daemon.calls import describe
from ironpost_daemon.exposition import OnFailure, PluginCollector

#: What stands in the place of a plugin's name.
MODULE: Final = "system"
#: What /proc/diskstats counts in, whatever the disk's own sector size is.
SECTOR_BYTES: Final = 512

#: (metric, label values) → number.
Values: TypeAlias = dict[tuple[str, tuple[str, ...]], float]
#: A disk's name → bytes read and bytes written.
Disks: TypeAlias = dict[str, tuple[int, int]]

_CPU: Final = re.compile(r"cpu[0-9]+")
_DIGITS_OF_64_BITS: Final = 20
_MEMORY: Final[Mapping[str, str]] = {
    "MemTotal": SYSTEM_MEMORY_SIZE_BYTES,
    "MemAvailable": SYSTEM_MEMORY_AVAILABLE_BYTES,
    "SwapTotal": SYSTEM_SWAP_SIZE_BYTES,
    "SwapFree": SYSTEM_SWAP_FREE_BYTES,
}

log = logging.getLogger("ironpost.daemon")


# -- formats ------------------------------------------------------------------------------------------------------


def parse_stat(text: str, ticks: int) -> Values:
    """The CPUs from /proc/stat, which counts in `ticks` a second. Guest time is within user and nice already.

    Raises:
        ValueError: it holds no line for all CPUs or none for one, fewer modes than are exported, or no numbers.
    """
    rows = {name: rest for name, _, rest in (line.partition(" ") for line in text.splitlines())}
    times = rows.get("cpu", "").split()
    cpus = sum(_CPU.fullmatch(name) is not None for name in rows)
    if len(times) < len(CPU_MODES) or not cpus:
        raise ValueError(f"{len(times)} times of all CPUs, {len(CPU_MODES)} expected, and lines for {cpus} CPUs")
    values: Values = {(SYSTEM_CPUS, ()): cpus}
    for mode, time in zip(CPU_MODES, times, strict=False):
        values[SYSTEM_CPU_SECONDS_TOTAL, (mode,)] = _number(time) / ticks
    return values


def parse_meminfo(text: str) -> Values:
    """Memory and swap from /proc/meminfo; ValueError when one of the four is missing or no number of kB."""
    rows = {key: rest.split() for key, _, rest in (line.partition(":") for line in text.splitlines())}
    values: Values = {}
    for key, metric in _MEMORY.items():
        match rows.get(key):
            case [number, "kB"]:
                values[metric, ()] = _number(number) * 1024
            case found:
                raise ValueError(f"{key}: a number of kB expected, found {found!r:.80}")
    return values


def parse_diskstats(text: str) -> Disks:
    """Every block device of /proc/diskstats; ValueError when a line has too few fields or no numbers."""
    disks: Disks = {}
    for line in text.splitlines():
        match line.split():
            case [_, _, name, _, _, read, _, _, _, written, *_]:
                disks[name] = (_number(read) * SECTOR_BYTES, _number(written) * SECTOR_BYTES)
            case []:
                pass
            case _:
                raise ValueError(f"10 fields expected, found {line!r:.120}")
    return disks


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_OF_64_BITS):
        raise ValueError(f"a number expected, found {text!r:.40}")
    return int(text)


# -- sources ------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Host:
    """Where the values come from. Every method may raise OSError or ValueError.

    Attributes:
        data_dir: a folder of the file system that is exported as ``data``.
        root: a folder of the one that is exported as ``root``.
        ticks: units of /proc/stat in a second.
    """

    data_dir: Path
    root: Path = Path("/")
    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    statvfs: Callable[[Path], os.statvfs_result] = os.statvfs
    ticks: int = attrs.field(factory=lambda: os.sysconf("SC_CLK_TCK"))

    def cpus(self) -> Values:
        """Time by mode, and the number of CPUs."""
        return parse_stat(_text(self.proc / "stat"), self.ticks)

    def memory(self) -> Values:
        """Memory and swap."""
        return parse_meminfo(_text(self.proc / "meminfo"))

    def disks(self) -> Disks:
        """Every block device."""
        return parse_diskstats(_text(self.proc / "diskstats"))

    def filesystem(self, name: str) -> Values:
        """Size and available space of one of `FILESYSTEMS`; may hang."""
        found = self.statvfs(self.data_dir if name == "data" else self.root)
        return {
            (SYSTEM_FILESYSTEM_SIZE_BYTES, (name,)): found.f_blocks * found.f_frsize,
            (SYSTEM_FILESYSTEM_AVAILABLE_BYTES, (name,)): found.f_bavail * found.f_frsize,
        }

    def is_whole_disk(self, name: str) -> bool:
        """Whether a block device is hardware, and not a part of or a layer over something that is counted itself.

        Only whole devices have an entry in /sys/block, and only those with hardware (or a network) behind them a
        `device` in it: loop, ram, zram, dm and md devices have none. NVMe with several paths has both a disk for all
        paths and one for each; the kernel counts at the latter, and since 6.4 at the former, too.
        """
        entry = self.sys / "block" / name.replace("/", "!")
        try:
            target = entry.readlink()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return "nvme-subsystem" not in target.parts and (entry / "device").exists()


def _text(path: Path) -> str:
    return path.read_bytes().decode("ascii", "replace")


class DiskTotals:
    """Bytes read and written by all whole disks since boot, or since they came: sums that never fall."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._whole: Mapping[str, bool] = {}
        self._last: Disks = {}
        self._read = self._written = 0

    def __call__(self) -> Values:
        """The sums now; raises as `Host.disks`."""
        found = self._host.disks()
        self._look_at(found)
        disks = {name: counts for name, counts in found.items() if self._whole[name]}
        for name, (read, written) in disks.items():
            before = self._last.get(name, (0, 0))
            if read < before[0] or written < before[1]:  # another disk has its name now
                before = (0, 0)
            self._read += read - before[0]
            self._written += written - before[1]
        self._last = disks
        return {(SYSTEM_DISK_READ_BYTES_TOTAL, ()): self._read, (SYSTEM_DISK_WRITTEN_BYTES_TOTAL, ()): self._written}

    def _look_at(self, names: Iterable[str]) -> None:
        """Find out which are whole disks; those that were there at the last reading are what they were."""
        fresh = [name for name in names if name not in self._whole]
        if fresh:
            (self._host.sys / "block").stat()  # raises where there is no /sys: not a host without disks
        known = {name: self._whole[name] for name in names if name in self._whole}
        self._whole = known | {name: self._host.is_whole_disk(name) for name in fresh}


# -- readers ------------------------------------------------------------------------------------------------------


class Sources:
    """A reader for `Metrics.read_with` that reads several sources, each for itself.

    A source that begins or ceases to fail is logged. `on_failure` is told, once a reading, of sources that begin to
    fail, and of those whose old values are served; so one that is simply not there, as /proc/diskstats in many
    containers, is counted once and not at each scrape.
    """

    def __init__(self, sources: Mapping[str, Callable[[], Values]], on_failure: OnFailure) -> None:
        self._sources = sources
        self._on_failure = on_failure
        self._values: Values = {}
        self._read: set[str] = set()
        self._failing: set[str] = set()

    def __call__(self) -> Reading:
        """What was read last of each source."""
        failures = []
        for name, read in self._sources.items():
            try:
                self._take_over(read())
            except (OSError, ValueError) as error:
                why = describe(error)
                if self._fails(name, why) or name in self._read:
                    failures.append(f"{name}: {why}")
            else:
                self._read.add(name)
                self._works(name)
        if failures:
            self._on_failure(MODULE, "; ".join(failures))
        self._works(self._all)
        return _nested(self._values)

    def collector_failed(self, module: str, reason: str) -> None:
        """Log once until the next reading that the whole is late or failed; fits `exposition.OnFailure`."""
        self._fails(self._all, reason)
        self._on_failure(module, reason)

    @property
    def _all(self) -> str:
        return ", ".join(self._sources)

    def _take_over(self, fresh: Values) -> None:
        for (metric, labels), number in fresh.items():
            last = self._values.get((metric, labels), number)
            self._values[metric, labels] = max(last, number) if metric.endswith("_total") else number

    def _fails(self, name: str, why: str) -> bool:
        """Whether that is new."""
        if name in self._failing:
            return False
        self._failing.add(name)
        log.warning(
            "system metrics: %s: %s; until that ends they are exported as last read, or not at all "
            "([metrics] system = false switches all of them off)",
            name,
            why,
        )
        return True

    def _works(self, name: str) -> None:
        if name in self._failing:
            self._failing.discard(name)
            log.info("system metrics: %s: read again", name)


def _nested(values: Values) -> Reading:
    by_metric: defaultdict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for (metric, labels), number in values.items():
        by_metric[metric][labels] = number
    return {metric: numbers.get((), numbers) for metric, numbers in by_metric.items()}


# -- collectors ---------------------------------------------------------------------------------------------------


class KnownMetrics(Metrics):
    """Metrics that have no series before they are read, where others start at 0."""

    def families(self, reading: Reading) -> list[Metric]:
        """As `Metrics.families`, without what `reading` does not hold."""
        families = super().families(reading)
        for name, family in zip(self.specs, families, strict=True):
            value = reading.get(name, {})
            if isinstance(value, Mapping):
                family.samples = [sample for sample in family.samples if tuple(sample.labels.values()) in value]
        return families


def collectors(host: Host, on_failure: OnFailure) -> tuple[PluginCollector, PluginCollector]:
    """What to register: the kernel's numbers, and the file systems.

    Args:
        host: where they are read.
        on_failure: told, with module ``system``, of each scrape that serves something old.
    """
    kernel = Sources({"CPUs": host.cpus, "memory": host.memory, "disks": DiskTotals(host)}, on_failure)
    filesystems = Sources({f"file system {name}": partial(host.filesystem, name) for name in FILESYSTEMS}, on_failure)
    return _collector(kernel, of_filesystems=False), _collector(filesystems, of_filesystems=True)


def _collector(sources: Sources, *, of_filesystems: bool) -> PluginCollector:
    specs = [spec for spec in catalogue_of(MODULE) if (LABEL_FILESYSTEM in spec.labels) is of_filesystems]
    metrics = KnownMetrics(specs)
    metrics.read_with(sources)
    return PluginCollector(MODULE, metrics, on_failure=sources.collector_failed)
