"""A working copy of a commit with its own params.yaml; the project itself stays as it is.

The copy is a git clone that borrows the project's objects. It shares the project's DVC cache and `.cache`, so what was built
in one is restored in the other.
"""

import os
import subprocess
import sys
from pathlib import Path

from cantica.commands.git import git, must
from cantica.core.params import FILE

SCRATCH = Path(".dvc/tmp")  # in the project; git and DVC ignore it


def make_copy(folder: Path, revision: str, params: str) -> Path:
    """Clone `revision` of the project in the current folder into an empty folder, with `params` as params.yaml.

    Raises InputError where git cannot.
    """
    root = Path.cwd()
    must("clone", "--quiet", "--shared", "--no-checkout", str(root), str(folder))
    must("-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", revision, folder=folder)
    for key, committer in (("user.name", "%cn"), ("user.email", "%ce")):
        value = git("config", key) or must("log", "-1", f"--format={committer}", revision)
        must("config", key, value.strip(), folder=folder)
    share_caches(root, folder)
    with (folder / ".git/info/exclude").open("a") as exclude:
        exclude.write("/.cache\n")
    (folder / FILE).write_bytes(params.encode("utf-8"))
    # Data that `dvc import` or `dvc add` brought in is an input, of which git has only the *.dvc file.
    if sources := must("ls-files", "--", "*.dvc", folder=folder).split("\n")[:-1]:
        programs = Path(sys.executable).parent
        subprocess.run([programs / "dvc", "checkout", "--quiet", *sources], cwd=folder, check=False)
    return folder


def share_caches(root: Path, folder: Path, scm: bool = True) -> None:
    """Let the project in a folder use DVC's cache, the local settings and `.cache` of another one. scm: it has git."""
    from dvc.config import Config
    from dvc.repo import Repo

    with Repo(str(root)) as project:
        cache, local = project.cache.local_cache_dir, project.config.read("local")
    with Config(str(folder / ".dvc")).edit("local") as config:
        config.update(local)
        config["cache"]["dir"] = str(cache)
        # In the copy, so that DVC's state of the files goes when the copy goes.
        config["core"]["site_cache_dir"] = str(folder / ".dvc/tmp/site")
        config["core"]["no_scm"] = not scm
    (root / ".cache").mkdir(exist_ok=True)
    os.symlink(root / ".cache", folder / ".cache")
