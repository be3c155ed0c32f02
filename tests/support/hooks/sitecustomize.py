"""Record what a process reads, in the file that CANTICA_RECORD names; tests/support/hermetic.py puts this folder on PYTHONPATH.

Python imports a module of this name by itself when it starts, so the command of a stage runs unchanged, and so does a
Python that it starts in turn. A record is a line `[event, what]` of JSON, written when it happens and once for a process.
"""

import json
import os
import sys

PROJECT = ("cantica", "stages")
# Functions that list folders of sys.path: the import system, and the search for versions of installed packages.
FINDERS = ("<frozen importlib._bootstrap_external>", os.path.join("importlib", "metadata", "__init__.py"))


def install(file: str) -> None:
    """Write records to a file from now on."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    seen = set()

    def record(event: str, what) -> None:
        line = json.dumps([event, what])
        if line not in seen:
            seen.add(line)
            os.write(descriptor, f"{line}\n".encode())

    def hook(event: str, arguments: tuple) -> None:
        handler = handlers.get(event)
        if handler:
            handler(record, *arguments)

    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in PROJECT:
            record("started with", getattr(module, "__file__", None) or name)
    sys.addaudithook(hook)


def opened(record, path, mode, flags) -> None:
    """A file, or with os.open a folder, is opened."""
    if isinstance(path, int) or _caller() == "_rmtree_safe_fd":  # what is being removed is not read
        return
    path = _absolute(path)
    new = flags & os.O_TRUNC or (flags & os.O_CREAT and not os.path.lexists(path))
    access = flags & os.O_ACCMODE
    # read_params records what it reads itself.
    if access != os.O_WRONLY and not new and not (os.path.basename(path) == "params.yaml" and _below("read_params")):
        record("reads", path)
    if access != os.O_RDONLY or new:
        record("writes", path)


def listed(record, path=".") -> None:
    """A folder is listed. What the import system finds in one is recorded when it opens it."""
    if not isinstance(path, int) and not sys._getframe(2).f_code.co_filename.endswith(FINDERS):
        record("lists", _absolute("." if path is None else path))


def made(record, path, *_) -> None:
    """A folder is made, unless it is there already."""
    if not os.path.lexists(_absolute(path)):
        record("writes", _absolute(path))


def renamed(record, source, target, *_) -> None:
    """A file or folder is renamed: the process reads it, unless it wrote it itself."""
    record("reads", _absolute(source))
    record("writes", _absolute(target))


def imported(record, module, *_) -> None:
    """Record an import, whether the module is found or not; of a library, only its first name."""
    package = module.split(".")[0]
    record("imports", module if package in PROJECT else package)


def connected(record, _, address) -> None:
    """A socket is connected or sent to; the address of one on this machine's file system is a string."""
    if isinstance(address, tuple):
        record("connects", f"{address[0]}:{address[1]}")


def resolved(record, host, port=None, *_) -> None:
    """The address of a host is looked up."""
    record("connects", str(host.decode() if isinstance(host, bytes) else host))


def started(record, program, *_) -> None:
    """Another program is started."""
    record("starts", os.fsdecode(program))


def params_read(record, keys, chosen) -> None:
    """`read_params` returns these values; from here on, record which of them are used."""
    for key in keys:
        record("params", key)
    for name, value in chosen.items():
        if not isinstance(value, dict):
            record("looks at", name)
        chosen[name] = watched(value, name, record)


class Watched(dict):
    """A section of params that records which of its values are looked at, under their dotted keys."""

    def __init__(self, values: dict, keys: dict, record):
        super().__init__(values)
        self.keys_, self.record_ = keys, record

    def _look(self, name) -> None:
        if name in self.keys_:
            self.record_("looks at", self.keys_[name])

    def _look_at_all(self) -> None:
        # Iterating over a section uses all of its keys.
        for key in self.keys_.values():
            self.record_("goes through", key.rpartition(".")[0])
            self.record_("looks at", key)

    def __getitem__(self, name):
        self._look(name)
        return super().__getitem__(name)

    def get(self, name, default=None):
        self._look(name)
        return super().get(name, default)

    def pop(self, name, *default):
        self._look(name)
        return super().pop(name, *default)

    def __contains__(self, name):
        self._look(name)
        return super().__contains__(name)

    def __iter__(self):
        self._look_at_all()
        return super().__iter__()

    def keys(self):
        self._look_at_all()
        return super().keys()

    def values(self):
        self._look_at_all()
        return super().values()

    def items(self):
        self._look_at_all()
        return super().items()

    def __len__(self):
        self._look_at_all()
        return super().__len__()

    # Merging two sections uses no value yet.
    def __or__(self, other):
        kept = {name: key for name, key in self.keys_.items() if not dict.__contains__(other, name)}
        keys = kept | getattr(other, "keys_", {})
        return Watched(dict(dict.items(self)) | dict(dict.items(other)), keys, self.record_)

    def __ror__(self, other):
        return Watched(other | dict(dict.items(self)), dict(self.keys_), self.record_)


def watched(value, key: str, record):
    """A value of params, with every mapping in it Watched."""
    if not isinstance(value, dict):
        return value
    keys = {name: f"{key}.{name}" for name in value}
    return Watched({name: watched(item, keys[name], record) for name, item in value.items()}, keys, record)


def _absolute(path) -> str:
    return os.path.abspath(os.fsdecode(path))


def _caller() -> str:
    return sys._getframe(3).f_code.co_name


def _below(function: str) -> bool:
    frame = sys._getframe(3)
    while frame and frame.f_code.co_name != function:
        frame = frame.f_back
    return frame is not None


handlers = {
    "open": opened,
    "os.listdir": listed,
    "os.scandir": listed,
    "os.mkdir": made,
    "os.rename": renamed,
    "os.link": renamed,
    "os.symlink": renamed,
    "import": imported,
    "socket.connect": connected,
    "socket.sendto": connected,
    "socket.sendmsg": connected,
    "socket.getaddrinfo": resolved,
    "socket.gethostbyname": resolved,
    "socket.gethostbyaddr": resolved,
    "subprocess.Popen": started,
    "os.posix_spawn": started,
    "os.exec": started,
    "os.system": started,
    "cantica.read_params": params_read,
}

if "CANTICA_RECORD" in os.environ:
    install(os.environ["CANTICA_RECORD"])
