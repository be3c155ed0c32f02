"""Hosts with networks of their own on this machine: network namespaces on a bridge. Only root may make them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

HOST = "10.213.77.1"  # this machine, as the hosts see it


def can_be_made() -> bool:
    if os.geteuid() or not shutil.which("ip"):
        return False
    made = subprocess.run(["ip", "netns", "add", f"probe{os.getpid()}"], capture_output=True).returncode == 0
    return made and subprocess.run(["ip", "netns", "del", f"probe{os.getpid()}"]).returncode == 0


@contextmanager
def hosts(*names: str) -> Iterator[None]:
    """Hosts by name, each with an address of its own and a way to HOST."""
    bridge = f"br{os.getpid()}"
    _ip("link", "add", bridge, "type", "bridge")
    try:
        _ip("addr", "add", f"{HOST}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for number, name in enumerate(names, 2):
            _ip("netns", "add", name)
            _ip("link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"to-{name}", "master", bridge, "up")
            _ip("-n", name, "addr", "add", f"{HOST.removesuffix('.1')}.{number}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _ip("-n", name, "link", "set", device, "up")
        yield
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name])
        _ip("link", "del", bridge)


def on(name: str) -> tuple[str, ...]:
    """The words before a command that runs it on a host."""
    return ("ip", "netns", "exec", name)


def cut_off(name: str) -> None:
    """Pull the plug of a host's network."""
    _ip("link", "set", f"to-{name}", "down")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
