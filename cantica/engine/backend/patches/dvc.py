"""Every patch of DVC. AT_IMPORT are applied in every Python process of the environment, `claim_stages` in builds that share.

A patch is a function; its docstring gives the reason. A copy of this module starts without `cantica` (see startup.py).
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvc.stage import Stage

CHECKED = "3.67.1"  # the version that the patches were checked against


def lock_parser() -> None:
    """DVC writes its whole lock after each stage, and for that reads it with a YAML parser in Python that keeps comments.

    A lock has none. DVC reads it everywhere else with a parser in C, which is used here too.
    """
    from dvc.utils.serialize import _yaml

    stock = _yaml.parse_yaml_for_update

    def parse_yaml_for_update(text: str, path: str) -> dict:
        return _yaml.parse_yaml(text, path) if os.path.basename(path) == "dvc.lock" else stock(text, path)

    _yaml.parse_yaml_for_update = parse_yaml_for_update


def claim_stages(claims: IO) -> None:
    """DVC runs a stage twice where two builds need it at the same time.

    With this patch a build waits while another one runs the stage on the same inputs, and then restores what that one made.
    A claim is a lock on one byte of the file `claims`, and ends with the process. The number of the byte is a hash of the
    command and its inputs. Outputs are put into the cache one stage at a time: different stages may make the same file, and
    DVC writes it in place where the file system cannot clone.
    """
    from dvc.stage import Stage

    run, commit = Stage.run, Stage.commit

    @contextmanager
    def claimed(byte: int) -> Iterator[None]:
        fcntl.lockf(claims, fcntl.LOCK_EX, 1, byte)
        try:
            yield
        finally:
            fcntl.lockf(claims, fcntl.LOCK_UN, 1, byte)

    def run_once(stage: "Stage", *arguments: Any, **options: Any) -> None:
        if not stage.cmd or not all(dep.exists for dep in stage.deps):
            return run(stage, *arguments, **options)
        inputs = [stage.cmd, [(dep.def_path, dep.get_hash().value) for dep in stage.deps]]
        with claimed(1 + int(hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:15], 16)):
            return run(stage, *arguments, **options)

    def commit_alone(stage: "Stage", *arguments: Any, **options: Any) -> None:
        with claimed(0):
            return commit(stage, *arguments, **options)

    Stage.run, Stage.commit = run_once, commit_alone


AT_IMPORT = (lock_parser,)
