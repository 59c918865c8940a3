"""The host's metrics: formats, real-looking and hostile, a host of files, this machine, and a real daemon."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from daemon_process import DaemonProcess, eventually, free_port, parse_metrics
from ironpost_core.clock import SystemClock
from ironpost_core.metrics import CPU_MODES, catalogue_of
from ironpost_daemon.configuration import complete, read
from ironpost_daemon.exposition import ShieldedRegistry, render
from ironpost_daemon.own_metrics import DaemonMetrics
from ironpost_daemon.parts import Parts
from ironpost_daemon.system_metrics import Host, collectors, parse_diskstats, parse_meminfo, parse_stat

STAT = """\
cpu  19466 7 4399 283409 498 3 109 21 5 1
cpu0 7592 3 1787 144514 71 1 29 9 2 0
cpu1 11873 4 2612 138895 427 2 79 11 3 1
intr 449013 0 0 0 1 15
ctxt 873880
btime 1795554971
"""
MEMINFO = """\
MemTotal:       24684084 kB
MemFree:        24338808 kB
MemAvailable:   24322976 kB
SwapTotal:       2097148 kB
SwapFree:        2097000 kB
HugePages_Total:       0
"""
DISKSTATS = """\
   7       0 loop0 11 0 2000 3 0 0 0 0 0 4 3 0 0 0 0 0 0
   8       0 sda 100 5 1000 7 60 5 300 9 0 8 16 0 0 0 0 0 0
   8       1 sda1 90 5 900 7 60 5 300 9 0 8 16 0 0 0 0 0 0
 253       0 dm-0 90 5 900 7 60 5 300 9 0 8 16 0 0 0 0 0 0
 259       0 nvme0n1 7 0 70 0 4 0 40 0 0 0 0 0 0 0 0 0 0
   0       0 nvme0c0n1 7 0 70 0 4 0 40 0 0 0 0 0 0 0 0 0 0
 104       0 cciss/c0d0 3 0 30 0 2 0 20 0 0 0 0
"""
#: Entry of /sys/block → where it leads and whether it has a `device`.
BLOCK = {
    "loop0": ("devices/virtual/block/loop0", False),
    "sda": ("devices/pci0000:00/ata1/block/sda", True),
    "dm-0": ("devices/virtual/block/dm-0", False),
    "nvme0n1": ("devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1", True),
    "nvme0c0n1": ("devices/pci0000:00/nvme/nvme0/nvme0c0n1", True),
    "cciss!c0d0": ("devices/pci0000:00/cciss0/block/cciss!c0d0", True),
}
WHOLE_READ, WHOLE_WRITTEN = (1000 + 70 + 30) * 512, (300 + 40 + 20) * 512
FAILURES = 'ironpost_daemon_plugin_reader_failures_total{module="system"}'
READ, WRITTEN = "ironpost_system_disk_read_bytes_total", "ironpost_system_disk_written_bytes_total"
MEMORY = "ironpost_system_memory_size_bytes"
ALL_SERIES = {
    spec.full_name + (f'{{{label}="{value}"}}' if label else "")
    for spec in catalogue_of("system")
    for label, values in (spec.labels or {"": ("",)}).items()
    for value in values
}


def cpu(mode: str) -> str:
    return f'ironpost_system_cpu_seconds_total{{mode="{mode}"}}'


def space(what: str, filesystem: str) -> str:
    return f'ironpost_system_filesystem_{what}_bytes{{filesystem="{filesystem}"}}'


# -- formats ------------------------------------------------------------------------------------------------------


def test_the_times_of_all_cpus_in_seconds():
    values = parse_stat(STAT, 100)
    times = {labels[0]: value for (metric, labels), value in values.items() if metric == "system_cpu_seconds_total"}
    assert list(times) == list(CPU_MODES)
    assert times == dict(zip(CPU_MODES, (194.66, 0.07, 43.99, 2834.09, 4.98, 0.03, 1.09, 0.21), strict=True))
    assert values["system_cpus", ()] == 2


@pytest.mark.parametrize(
    "text",
    [
        "cpu 1 2 3 4 5 6 7 8\ncpu0 1 2 3 4 5 6 7 8",
        "cpu 1 2 3 4 5 6 7 8 9 10 and more of it\ncpu0\ncpufreq 7\ncpu_x 7\n\n",
        "strange\n\ncpu\t\ncpu  1 2 3 4 5 6 7 8\ncpu0 nonsense\n",
    ],
)
def test_what_a_later_kernel_adds_to_the_cpus_is_passed_over(text):
    values = parse_stat(text, 1)
    assert [value for (metric, _), value in values.items() if metric != "system_cpus"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert values["system_cpus", ()] == 1


HOSTILE_NUMBERS = ["-1", "+1", "1.5", "1e3", "0x10", "1_000", "nan", "inf", "²", "٣", "�", "9" * 21, "9" * 5000]


@pytest.mark.parametrize("number", HOSTILE_NUMBERS)
def test_a_time_that_is_no_number_is_refused(number):
    with pytest.raises(ValueError, match="a number expected, found"):
        parse_stat(STAT.replace("283409", number), 100)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 times of all CPUs, 8 expected, and lines for 0 CPUs"),
        ("\x00\xff" * 1000, "0 times"),
        ("cpu  1 2 3 4 5 6 7\ncpu0 1 2 3 4 5 6 7", "7 times"),
        ("cpu  1 2 3 4 5 6 7 8\nintr 1", "lines for 0 CPUs"),
        ("cpu0 1 2 3 4 5 6 7 8", "0 times of all CPUs, 8 expected, and lines for 1 CPUs"),
    ],
)
def test_what_lacks_the_cpus_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_stat(text, 100)


def test_memory_and_swap_in_bytes():
    assert parse_meminfo(MEMINFO) == {
        ("system_memory_size_bytes", ()): 24684084 * 1024,
        ("system_memory_available_bytes", ()): 24322976 * 1024,
        ("system_swap_size_bytes", ()): 2097148 * 1024,
        ("system_swap_free_bytes", ()): 2097000 * 1024,
    }


@pytest.mark.parametrize("key", ["MemTotal", "MemAvailable", "SwapTotal", "SwapFree"])
@pytest.mark.parametrize("line", ["", "{key}:", "{key}: 5", "{key}: 5 MB", "{key}: 5 kB more", "{key} 5 kB", "{key}"])
def test_memory_without_one_of_the_four_is_refused(key, line):
    lines = [one if not one.startswith(f"{key}:") else line.format(key=key) for one in MEMINFO.splitlines()]
    with pytest.raises(ValueError, match=f"{key}: a number of kB expected"):
        parse_meminfo("\n".join(lines))


@pytest.mark.parametrize("number", HOSTILE_NUMBERS)
def test_memory_that_is_no_number_is_refused(number):
    with pytest.raises(ValueError, match="a number expected, found"):
        parse_meminfo(MEMINFO.replace("24322976", number))


def test_the_largest_number_of_the_kernel_is_one():
    assert parse_meminfo(MEMINFO.replace("24684084", str(2**64 - 1)))["system_memory_size_bytes", ()] == 2**74 - 1024


def test_every_block_device_with_its_bytes():
    disks = parse_diskstats(DISKSTATS)
    assert set(disks) == {"loop0", "sda", "sda1", "dm-0", "nvme0n1", "nvme0c0n1", "cciss/c0d0"}
    assert disks["sda"] == (512_000, 153_600)
    assert disks["cciss/c0d0"] == (30 * 512, 20 * 512)
    assert parse_diskstats("") == parse_diskstats("\n\n") == {}
    assert parse_diskstats("8 0 sda 1 2 3 4 5 6 7") == {"sda": (3 * 512, 7 * 512)}
    assert parse_diskstats("8 0 sda 1 2 3 4 5 6 7 and what a later kernel adds") == {"sda": (3 * 512, 7 * 512)}


@pytest.mark.parametrize("line", ["8", "8 0 sda", "8 1 sda1 1 2 3 4", "8 0 sda 1 2 3 4 5 6", "\x00" * 100])
def test_a_short_line_of_the_disks_is_refused(line):
    with pytest.raises(ValueError, match="10 fields expected, found"):
        parse_diskstats(DISKSTATS + line)


@pytest.mark.parametrize("number", HOSTILE_NUMBERS)
@pytest.mark.parametrize("line", ["8 0 sda 1 2 {} 4 5 6 7 8", "8 0 sda 1 2 3 4 5 6 {} 8"])
def test_bytes_of_a_disk_that_are_no_number_are_refused(line, number):
    with pytest.raises(ValueError, match="a number expected, found"):
        parse_diskstats(line.format(number))


# -- a host of files ----------------------------------------------------------------------------------------------


class FakeHost:
    """A host in a folder, with the registry of a daemon that exports it."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.sys = folder / "proc", folder / "sys"
        self.proc.mkdir()
        for name, text in (("stat", STAT), ("meminfo", MEMINFO), ("diskstats", DISKSTATS)):
            (self.proc / name).write_text(text)
        (self.sys / "block").mkdir(parents=True)
        for name, (target, device) in BLOCK.items():
            self.plug_in(name, target, device=device)
        self.statvfs: Callable[[Path], Any] = self.sizes
        self.own = DaemonMetrics(SystemClock(), version="1", commit="c")
        self.own.known_reader("system")
        self.registry = ShieldedRegistry(deadline=5.0, on_failure=self.own.reader_failed)
        self.registry.register(self.own)
        host = Host(
            root=Path("/the/root"),
            data_dir=Path("/the/data"),
            proc=self.proc,
            sys=self.sys,
            statvfs=self._statvfs,
            ticks=100,
        )
        for collector in collectors(host, self.own.reader_failed):
            self.registry.register(collector)

    def _statvfs(self, path: Path) -> Any:
        return self.statvfs(path)

    @staticmethod
    def sizes(path: Path) -> Any:
        size = {"/the/root": 1000, "/the/data": 2000}[str(path)]
        return SimpleNamespace(f_frsize=4096, f_bsize=1, f_blocks=size, f_bfree=size - 1, f_bavail=size // 10)

    def plug_in(self, name: str, target: str, *, device: bool = True) -> None:
        folder = self.sys / target
        folder.mkdir(parents=True)
        if device:
            (folder / "device").mkdir()
        (self.sys / "block" / name).symlink_to(Path("..") / target)

    def disks(self, *lines: str) -> None:
        (self.proc / "diskstats").write_text("\n".join(lines))

    def scrape(self) -> dict[str, float]:
        return parse_metrics(render(self.registry, "")[0].decode())


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def system_series(metrics: Iterable[str]) -> set[str]:
    return {name for name in metrics if name.startswith("ironpost_system_")}


def test_the_first_scrape_has_all_of_it(host):
    found = host.scrape()
    assert system_series(found) == ALL_SERIES
    assert found[cpu("steal")] == 0.21
    assert (found["ironpost_system_cpus"], found[MEMORY]) == (2, 24684084 * 1024)
    assert (found[space("size", "root")], found[space("available", "root")]) == (1000 * 4096, 100 * 4096)
    assert (found[space("size", "data")], found[space("available", "data")]) == (2000 * 4096, 200 * 4096)
    assert (found[READ], found[WRITTEN]) == (WHOLE_READ, WHOLE_WRITTEN)
    assert found[FAILURES] == 0


@pytest.mark.parametrize(
    ("file", "lost"),
    [("stat", "ironpost_system_cpu"), ("meminfo", "_memory_ _swap_"), ("diskstats", "ironpost_system_disk")],
)
def test_a_file_that_is_not_there_takes_no_other_with_it_and_is_told_once(host, file, lost, caplog):
    caplog.set_level("INFO", "ironpost.daemon")
    (host.proc / file).rename(host.proc / "away")
    missing = {name for name in ALL_SERIES if any(part in name for part in lost.split())}
    assert missing
    for _ in range(3):
        found = host.scrape()
        assert system_series(found) == ALL_SERIES - missing  # 0 would be untrue
        assert found[FAILURES] == 1
    (host.proc / "away").rename(host.proc / file)
    assert system_series(host.scrape()) == ALL_SERIES
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "FileNotFoundError" in said[0]
    assert file in said[0]
    assert "[metrics] system = false" in said[0]
    assert said[1].endswith("read again")


def test_what_is_lost_later_keeps_its_value_which_is_counted_each_time_and_logged_once(host, caplog):
    host.scrape()
    (host.proc / "meminfo").write_text("MemTotal: none")
    for file in ("stat", "diskstats"):
        (host.proc / file).write_text("")
    for number in (1, 2, 3):
        found = host.scrape()
        assert (found[MEMORY], found[cpu("user")], found[READ]) == (24684084 * 1024, 194.66, WHOLE_READ)
        assert found[FAILURES] == number
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 2  # no line is no disk


def test_without_sys_nobody_knows_which_disks_are_whole(host):
    shutil.rmtree(host.sys)
    found = host.scrape()
    assert ALL_SERIES - system_series(found) == {READ, WRITTEN}
    assert found[FAILURES] == 1


def test_a_host_without_disks_has_read_nothing(host):
    host.disks("7 0 loop0 11 0 2000 3 0 0 0 0 0 4 3")
    found = host.scrape()
    assert (found[READ], found[WRITTEN], found[FAILURES]) == (0, 0, 0)


@pytest.mark.parametrize("mode", CPU_MODES)
def test_a_time_that_falls_stays_where_it_was(host, mode):
    before = host.scrape()
    times = dict.fromkeys(CPU_MODES, 300_000) | {mode: 0}
    (host.proc / "stat").write_text(f"cpu  {' '.join(map(str, times.values()))} 0 0\ncpu0 0\n")
    after = host.scrape()
    assert after[cpu(mode)] == before[cpu(mode)] > 0
    assert {after[cpu(other)] for other in CPU_MODES if other != mode} == {3000}
    assert (after["ironpost_system_cpus"], after[FAILURES]) == (1, 0)


def test_disks_that_come_go_and_are_exchanged_never_make_a_sum_fall(host):
    def totals(*lines: str) -> tuple[float, float]:
        host.disks(*lines)
        found = host.scrape()
        return found[READ] / 512, found[WRITTEN] / 512

    assert totals("8 0 sda 0 0 100 0 0 0 10 0") == (100, 10)
    assert totals("8 0 sda 0 0 150 0 0 0 10 0") == (150, 10)
    host.plug_in("sdb", "devices/usb1/block/sdb")
    assert totals("8 0 sda 0 0 150 0 0 0 10 0", "8 16 sdb 0 0 7 0 0 0 3 0") == (157, 13)
    assert totals("8 16 sdb 0 0 9 0 0 0 3 0") == (159, 13)  # sda is pulled out
    assert totals("8 0 sda 0 0 200 0 0 0 20 0", "8 16 sdb 0 0 9 0 0 0 3 0") == (359, 33)  # and plugged in again
    assert totals("8 0 sda 0 0 6 0 0 0 0 0", "8 16 sdb 0 0 9 0 0 0 3 0") == (365, 33)  # another one, between scrapes
    assert totals() == (365, 33)


def test_a_device_name_leads_nowhere_but_into_the_list_of_devices(host, tmp_path):
    (tmp_path / "device").mkdir()
    host.disks("8 0 ../../x 0 0 100 0 0 0 10 0", "8 0 sda 0 0 1 0 0 0 2 0")
    (tmp_path / "x").symlink_to(tmp_path)
    found = host.scrape()
    assert (found[READ], found[WRITTEN]) == (512, 1024)


def test_a_file_system_that_fails_leaves_the_other(host):
    def statvfs(path: Path) -> Any:
        if path == Path("/the/data"):
            raise OSError(errno.ESTALE, "Stale file handle")
        return host.sizes(path)

    host.statvfs = statvfs
    found = host.scrape()
    assert ALL_SERIES - system_series(found) == {space("size", "data"), space("available", "data")}
    assert (found[space("size", "root")], found[FAILURES]) == (1000 * 4096, 1)


def test_a_file_system_that_hangs_holds_up_nothing_but_the_file_systems(host, release, caplog):
    def statvfs(path: Path) -> Any:
        release.wait(60)
        return host.sizes(path)

    caplog.set_level("INFO", "ironpost.daemon")
    host.scrape()
    host.statvfs = statvfs
    host.registry._deadline = 0.5
    for number in (1, 2):
        (host.proc / "meminfo").write_text(MEMINFO.replace("24684084", str(number)))
        found = host.scrape()
        assert found[FAILURES] == number
        assert found[MEMORY] == number * 1024  # fresh, while the file systems are as they were
        assert found[space("size", "data")] == 2000 * 4096
    (said,) = [record.getMessage() for record in caplog.records]
    assert "file system root, file system data: the metric readers are late" in said
    release.set()
    eventually(lambda: host.scrape() and "file system data: read again" in caplog.text, "they are read again")


def test_what_hangs_from_the_start_has_no_values_until_it_is_read(host, release):
    def statvfs(path: Path) -> Any:
        release.wait(60)
        return host.sizes(path)

    host.statvfs = statvfs
    host.registry._deadline = 0.5
    of_filesystems = {name for name in ALL_SERIES if "_filesystem_" in name}
    assert ALL_SERIES - system_series(host.scrape()) == of_filesystems
    release.set()
    eventually(lambda: system_series(host.scrape()) == ALL_SERIES, "the file systems are there")


def test_a_reader_that_breaks_unexpectedly_is_counted_and_logged_once(host, caplog):
    def statvfs(_path: Path) -> Any:
        raise AttributeError("nobody thought of that")

    host.scrape()
    host.statvfs = statvfs
    assert [host.scrape()[FAILURES] for _ in range(3)] == [1, 2, 3]
    (said,) = [record.getMessage() for record in caplog.records]
    assert "AttributeError: nobody thought of that" in said


def test_openmetrics_can_be_parsed_with_and_without_values(host):
    for file in (*host.proc.iterdir(), None):
        text = render(host.registry, "application/openmetrics-text")[0].decode()
        names = {family.name for family in parse_openmetrics(text)}
        assert {spec.full_name.removesuffix("_total") for spec in catalogue_of("system")} <= names
        if file is not None:
            file.unlink()


# -- this machine -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, float], ...]:
    """What is exported of this machine, between two looks at it by other means, all by the same names."""
    folder = tmp_path_factory.mktemp("data")
    failures: list[str] = []

    def failed(_module: str, reason: str) -> None:
        failures.append(reason)

    registry = ShieldedRegistry(deadline=60.0, on_failure=failed)
    for collector in collectors(Host(data_dir=folder), failed):
        registry.register(collector)
    before = looked_at()
    exported = parse_metrics(render(registry, "")[0].decode())
    assert failures == []
    return before, exported, looked_at()


def looked_at() -> dict[str, float]:
    first = Path("/proc/stat").read_text().partition("\n")[0].split()
    ticks = os.sysconf(os.sysconf_names["SC_CLK_TCK"])
    times = {cpu(mode): int(time) / ticks for mode, time in zip(CPU_MODES, first[1:9], strict=True)}
    whole = [entry.name for entry in Path("/sys/block").iterdir() if (entry / "device").exists()]
    disks = [counts for name, counts in psutil.disk_io_counters(perdisk=True, nowrap=False).items() if name in whole]
    return times | {READ: sum(disk.read_bytes for disk in disks), WRITTEN: sum(disk.write_bytes for disk in disks)}


def test_the_times_and_bytes_of_this_machine_lie_between_two_looks_at_it(here):
    before, exported, after = here
    assert before.keys() == after.keys() <= exported.keys()
    for name in before:
        slack = 1.0 if "idle" in name or "iowait" in name else 0.001  # these two the kernel lets fall a little
        assert before[name] - slack <= exported[name] <= after[name] + slack, name


def test_this_machine_is_seen_as_psutil_sees_it(here):
    _, exported, _ = here
    memory, swap, times = psutil.virtual_memory(), psutil.swap_memory(), psutil.cpu_times()
    assert exported["ironpost_system_cpus"] == psutil.cpu_count()
    assert exported[MEMORY] == memory.total
    assert exported["ironpost_system_memory_available_bytes"] == pytest.approx(memory.available, rel=0.2)
    assert exported["ironpost_system_swap_size_bytes"] == swap.total
    assert exported["ironpost_system_swap_free_bytes"] == pytest.approx(swap.free, rel=0.2)
    for mode in CPU_MODES:
        assert exported[cpu(mode)] == pytest.approx(getattr(times, mode), rel=0.1, abs=60.0)


def test_the_file_systems_of_this_machine(here):
    _, exported, _ = here
    root = os.statvfs("/")
    assert exported[space("size", "root")] == root.f_blocks * root.f_frsize
    assert exported[space("available", "root")] == pytest.approx(root.f_bavail * root.f_frsize, rel=0.1, abs=1 << 30)
    assert exported[space("size", "data")] > 0


# -- the switch, and a real daemon --------------------------------------------------------------------------------


def of_module_system(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if 'module="system"' in name}


@pytest.mark.parametrize(("metrics", "exported"), [("", True), ("system = false", False), ("enabled = false", False)])
def test_the_switch(tmp_path, metrics, exported):
    file = tmp_path / "ironpost.toml"
    folders = f'data_dir = "{tmp_path}/data"\nrun_dir = "{tmp_path}/run"'
    file.write_text(f"[general]\n{folders}\n[metrics]\nport = {free_port()}\n{metrics}\n")
    parts = Parts(SystemClock(), {}, reload=dict)
    try:
        parts.start(complete(file, read(file, plugins=[], environ={})))
        found = parse_metrics(render(parts._registry, "")[0].decode())
    finally:
        parts.stop()
    assert system_series(found) == (ALL_SERIES if exported else set())
    assert of_module_system(found) == ({FAILURES: 0} if exported else {})


def test_a_daemon_exports_them_from_the_first_scrape_and_changes_that_only_at_a_restart(tmp_path):
    with DaemonProcess(tmp_path) as daemon:
        first = daemon.metrics()
        assert system_series(first) == ALL_SERIES
        assert first[cpu("user")] > 0
        assert of_module_system(first) == {FAILURES: 0}
        daemon.configure("[metrics]\nsystem = false\n")
        assert daemon.ironpost_json("reload")["metrics"] == "restart needed"
        assert system_series(daemon.metrics()) == ALL_SERIES
        assert daemon.terminate() == 0
        daemon.start()
        second = daemon.metrics()
    assert system_series(second) == set()
    assert of_module_system(second) == {}
    assert "ironpost_daemon_uptime_seconds" in second
