"""What programs of a Debian machine write to syslog, a few lines at a time, for `demo_log`.

Each function gives one scene: lines that belong together, worded as the real programs word them.
"""

from __future__ import annotations

import random
from typing import TypeAlias

#: Seconds after the scene's first line, host, program with its pid, message.
Scene: TypeAlias = list[tuple[float, str, str, str]]
PEOPLE = ("alice", "bob", "carol", "dave", "erin", "deploy", "backup")
#: Stands for the line's own time in a message, named as in nginx's configuration.
TIME = "$time_local"
_SUDO = (
    "/usr/bin/apt update",
    "/usr/bin/systemctl restart nginx",
    "/usr/bin/journalctl -u nginx",
    "/usr/sbin/ip route",
)
_UNITS = (
    ("apt-daily.service", "Daily apt download activities"),
    ("logrotate.service", "Rotate log files"),
    ("fstrim.service", "Discard unused blocks on filesystems from /etc/fstab"),
    ("man-db.service", "Daily man-db regeneration"),
    ("systemd-tmpfiles-clean.service", "Cleanup of Temporary Directories"),
)
_CRON = (
    "   cd / && run-parts --report /etc/cron.hourly",
    "/usr/local/bin/backup --quiet",
    "[ -x /usr/lib/php/sessionclean ]",
)
_PAGES = ("/", "/", "/index.html", "/assets/app.css", "/assets/app.js", "/api/v1/items", "/favicon.ico", "/login")
_PROBES = ("/.env", "/wp-login.php", "/.git/config", "/cgi-bin/luci", "/phpmyadmin/", "/actuator/health")
_BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "curl/7.88.1",
)
_KERNEL = (
    "perf: interrupt took too long ({0} > {1}), lowering kernel.perf_event_max_sample_rate to 79750",
    "EXT4-fs (sda1): re-mounted. Quota mode: none.",
    "device veth{0:x} entered promiscuous mode",
    "br-{1:x}: port 1(veth{0:x}) entered forwarding state",
)
_BASE64 = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"


def _sshd(rng: random.Random, host: str) -> str:
    name = "sshd" if host == "web1" else "sshd-session"  # what OpenSSH 9.8 and later log as
    return f"{name}[{rng.randrange(1_000, 400_000)}]"


def _port(rng: random.Random) -> int:
    return rng.randrange(32_768, 61_000)


def failed_password(rng: random.Random, host: str, user: str, address: str) -> Scene:
    """One wrong password, with all that sshd and PAM say about it."""
    known = user in ("root", *PEOPLE)
    app, port = _sshd(rng, host), _port(rng)
    pam = f"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={address}"
    said = f"Failed password for {'' if known else 'invalid user '}{user} from {address} port {port} ssh2"
    whose = f"{'authenticating' if known else 'invalid'} user {user} {address} port {port} [preauth]"
    scene: Scene = []
    if not known:
        scene.append((0.0, host, app, f"Invalid user {user} from {address} port {port}"))
        scene.append((0.1, host, app, "pam_unix(sshd:auth): check pass; user unknown"))
    scene.append((0.1, host, app, f"{pam}  user={user}" if known else pam))
    scene.append((0.4, host, app, said))
    if rng.random() < 0.5:
        scene.append((0.5, host, app, f"Received disconnect from {address} port {port}:11: Bye Bye [preauth]"))
        scene.append((0.5, host, app, f"Disconnected from {whose}"))
    else:
        scene.append((0.5, host, app, f"Connection closed by {whose}"))
    return scene


def login(rng: random.Random, host: str, user: str, address: str, how: str = "password") -> Scene:
    """A session from its login to its end."""
    app, session = _sshd(rng, host), rng.randrange(1, 9_999)
    port, ends = _port(rng), rng.uniform(20, 3_000)
    logind, pam = "systemd-logind[612]", "pam_unix(sshd:session): session"
    key = f": ED25519 SHA256:{''.join(rng.choices(_BASE64, k=43))}" if how == "publickey" else ""
    return [
        (0.0, host, app, f"Accepted {how} for {user} from {address} port {port} ssh2{key}"),
        (0.0, host, app, f"{pam} opened for user {user}(uid=1000) by (uid=0)"),
        (0.1, host, logind, f"New session {session} of user {user}."),
        (0.1, host, "systemd[1]", f"Started session-{session}.scope - Session {session} of User {user}."),
        (ends, host, app, f"Received disconnect from {address} port {port}:11: disconnected by user"),
        (ends, host, app, f"Disconnected from user {user} {address} port {port}"),
        (ends, host, app, f"{pam} closed for user {user}"),
        (ends + 0.1, host, logind, f"Session {session} logged out. Waiting for processes to exit."),
        (ends + 0.1, host, logind, f"Removed session {session}."),
    ]


def knock(rng: random.Random, host: str, address: str) -> Scene:
    """Somebody looks at the ssh port and tries no password."""
    app, port = _sshd(rng, host), _port(rng)
    offer = "no matching host key type found. Their offer: ssh-rsa,ssh-dss [preauth]"
    kind = rng.randrange(3)
    if kind == 0:
        return [(0.0, host, app, f"Unable to negotiate with {address} port {port}: {offer}")]
    if kind == 1:
        return [(0.0, host, app, f"banner exchange: Connection from {address} port {port}: invalid format")]
    return [
        (0.0, host, app, "error: kex_exchange_identification: Connection closed by remote host"),
        (0.0, host, app, f"Connection closed by {address} port {port}"),
    ]


def sudo(rng: random.Random, host: str, user: str) -> Scene:
    """Sudo as it should be."""
    pam, ends = "pam_unix(sudo:session): session", rng.uniform(0.1, 40)
    asked = f"TTY=pts/0 ; PWD=/home/{user} ; USER=root ; COMMAND={rng.choice(_SUDO)}"
    return [
        (0.0, host, "sudo", f"{user:>8} : {asked}"),
        (0.0, host, "sudo", f"{pam} opened for user root(uid=0) by {user}(uid=1000)"),
        (ends, host, "sudo", f"{pam} closed for user root"),
    ]


def sudo_refused(rng: random.Random, host: str, user: str, reason: str) -> Scene:
    """Sudo that says no: a wrong password three times, or a user without the right."""
    tty = f"pts/{rng.randrange(4)}"
    who = f"logname={user} uid=1007 euid=0 tty=/dev/{tty} ruser={user} rhost=  user={user}"
    asked = f"TTY={tty} ; PWD=/home/{user} ; USER=root ; COMMAND=/usr/bin/cat /etc/shadow"
    return [
        (0.0, host, "sudo", f"pam_unix(sudo:auth): authentication failure; {who}"),
        (6.0, host, "sudo", f"{user:>8} : {reason} ; {asked}"),
    ]


def cron(rng: random.Random, host: str) -> Scene:
    """A cron job."""
    app, pam = f"CRON[{rng.randrange(1_000, 400_000)}]", "pam_unix(cron:session): session"
    return [
        (0.0, host, app, f"{pam} opened for user root(uid=0) by (uid=0)"),
        (0.0, host, app, f"(root) CMD ({rng.choice(_CRON)})"),
        (1.0, host, app, f"{pam} closed for user root"),
    ]


def unit(rng: random.Random, host: str) -> Scene:
    """A systemd unit that a timer starts."""
    name, about = rng.choice(_UNITS)
    return [
        (0.0, host, "systemd[1]", f"Starting {name} - {about}..."),
        (2.0, host, "systemd[1]", f"{name}: Deactivated successfully."),
        (2.0, host, "systemd[1]", f"Finished {name} - {about}."),
    ]


def kernel(rng: random.Random, host: str) -> Scene:
    """One of the kernel's remarks."""
    text = rng.choice(_KERNEL).format(rng.randrange(2_500, 60_000), rng.randrange(2_500, 60_000))
    return [(0.0, host, "kernel", f"[{rng.uniform(1_000, 900_000):13.6f}] {text}")]


def blocked(rng: random.Random, host: str, address: str) -> Scene:
    """The firewall drops a packet."""
    ports = f"SPT={rng.randrange(1_024, 65_000)} DPT={rng.choice((23, 445, 3389, 5900, 8080))}"
    text = f"[UFW BLOCK] IN=eth0 OUT= SRC={address} DST=10.20.0.1 LEN=40 TOS=0x00 TTL=244 PROTO=TCP {ports} SYN URGP=0"
    return [(0.0, host, "kernel", f"[{rng.uniform(1_000, 900_000):13.6f}] {text}")]


def page(rng: random.Random, host: str, address: str) -> Scene:
    """Nginx serves a page."""
    return _request(rng, host, address, rng.choice(_PAGES), rng.choice((200, 200, 200, 200, 304, 302, 499)))


def probe(rng: random.Random, host: str, address: str) -> Scene:
    """Somebody asks nginx for what is not there."""
    return _request(rng, host, address, rng.choice(_PROBES), 404)


def _request(rng: random.Random, host: str, address: str, path: str, status: int) -> Scene:
    asked = f'"GET {path} HTTP/1.1" {status} {rng.randrange(150, 40_000)} "-" "{rng.choice(_BROWSERS)}"'
    return [(0.0, host, "nginx", f"{address} - - [{TIME}] {asked}")]
