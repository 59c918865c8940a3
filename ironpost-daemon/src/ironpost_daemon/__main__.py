"""``python -m ironpost_daemon`` is ``ironpost-daemon``."""

from ironpost_daemon.main import main

main()
