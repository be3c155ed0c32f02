"""Start the stages of a build as forks of a process that has imported what they import, which saves most of their start.

    python -m tests.support.stage_server SOCKET

`CLIENT` stands for the shell in which DVC runs the command of a stage: the variable SHELL names it. (A `python` on the path
would not do: every process of the environment puts the environment's programs first.) A stage of a project with other modules
than this one's imports its own.
The server ends when its standard input does.
"""

import ast
import atexit
import os
import pickle
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import cantica
from cantica.core import command
from cantica.engine.backend.blas import fix_blas

PACKAGE = Path(cantica.__file__).parent
CORE = "Haswell"
# What functions import, beside what modules do.
LIBRARIES = (
    *("altair", "jsonschema", "mlx_lm.models.llama", "mlx_lm.models.olmo3", "mlx_lm.tuner.lora", "mlx_lm.utils", "ruamel.yaml"),
    *("transformers", "transformers.image_utils", "transformers.models.llama.configuration_llama", "vl_convert"),
)
# It sends the arguments of a stage, its folder, environment and standard streams, and exits as the stage does. Another command,
# or a stage that computes with another kernel of the BLAS, is run by a shell.
CLIENT = f"""#!{sys.executable} -IS
import os, pickle, shlex, socket, sys
words = shlex.split(sys.argv[2]) if sys.argv[1] == "-c" else []
stage = words[:3] == ["exec", "python", "-m"] and words[3].startswith("stages.")
if not stage or "blas-core: {CORE}\\n" not in open("params.yaml", encoding="utf-8").read():
    os.execv("/bin/sh", ["sh", *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect(__file__ + ".socket")
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(pickle.dumps((words[3:], os.getcwd(), dict(os.environ))))
    server.shutdown(socket.SHUT_WR)
    code = server.recv(4)
sys.exit(int.from_bytes(code, "big") if code else 1)
"""


def serve(path: str) -> None:
    before = dict(os.environ)
    fix_blas(CORE)
    import_all()
    assert threading.active_count() == 1
    own = {name: value for name, value in os.environ.items() if before.get(name) != value}
    code, imported = code_in(PACKAGE), Imported()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as ready:
        server.bind(path)
        server.listen()
        ready.register(server, selectors.EVENT_READ)
        ready.register(sys.stdin, selectors.EVENT_READ)
        while all(key.fileobj is server for key, _ in ready.select()):
            connection, _ = server.accept()
            if os.fork() == 0:
                os._exit(wait_for_stage(connection, own, code, imported))
            connection.close()


def import_all() -> None:
    """Import the modules of all packages but the commands, and load what numba compiled. Threads would be lost in a fork."""
    own = [module.name for module in pkgutil.walk_packages([str(PACKAGE)], "cantica.")]
    for name in (*LIBRARIES, *(name for name in own if not name.startswith("cantica.commands"))):
        import_module(name)
    load_compiled()


def load_compiled(last_first: bool = False) -> None:
    """Load what numba compiled of the modules that are imported, in the order of names or in the opposite one."""
    from numba.core.caching import FunctionCache
    from numba.core.registry import CPUDispatcher

    modules = [module for name, module in sys.modules.items() if name.startswith("cantica.engine.backend.cpu.")]
    functions = {value for module in modules for value in vars(module).values() if isinstance(value, CPUDispatcher)}
    for function in sorted(functions, key=lambda one: one.py_func.__qualname__, reverse=last_first):
        if isinstance(function._cache, FunctionCache):
            for signature, *_ in function._cache._cache_file._load_index():
                function.compile(signature)


def code_in(package: Path) -> dict[str, bytes]:
    files = [file for file in package.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    return {str(file.relative_to(package)): file.read_bytes() for file in files}


class Imported(Loader):
    """Gives the modules of Cantica that are imported already to a stage that imports them, each with what it imports itself.

    So those that count as loaded are those that a stage of its own process would have loaded.
    """

    def __init__(self) -> None:
        self.modules = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "cantica"}
        self.needed = {name: self._imports(module) for name, module in self.modules.items()}

    def _imports(self, module: ModuleType) -> list[str]:
        assert module.__file__
        found: list[str] = []
        for node in ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                found += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        return [name for name in found if name in self.modules]

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        is_package = hasattr(self.modules.get(name), "__path__")
        return ModuleSpec(name, self, is_package=is_package) if name in self.modules else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        for name in self.needed[module.__name__]:
            import_module(name)


def wait_for_stage(connection: socket.socket, own: dict[str, str], code: dict[str, bytes], imported: Imported) -> int:
    """Run a stage in a process of its own, and send its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    arguments, folder, environment = pickle.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
    stage = os.fork()
    if stage == 0:
        for place, stream in enumerate(streams):
            os.dup2(stream, place)
        os._exit(run_stage(arguments, Path(folder), environment | own, code, imported))
    for stream in streams:
        os.close(stream)
    status = os.waitstatus_to_exitcode(os.waitpid(stage, 0)[1])
    connection.sendall((status if status >= 0 else 128 - status).to_bytes(4, "big"))
    return 0


def run_stage(
    arguments: list[str], folder: Path, environment: dict[str, str], code: dict[str, bytes], imported: Imported
) -> int:
    """Become a stage of the project in a folder, with its own modules unless they are those that are imported."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[0], sys.argv = str(folder), arguments
    command._START = time.perf_counter()
    for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "cantica")]:
        del sys.modules[name]
    if code_in(folder / "cantica") == code:
        sys.meta_path.insert(0, imported)  # type: ignore[arg-type]
    status: object = 0
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        status = error.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status if isinstance(status, int) else int(status is not None)


if __name__ == "__main__":
    serve(sys.argv[1])
