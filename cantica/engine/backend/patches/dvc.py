"""Every patch of DVC. They are applied in every Python process of the environment.

A patch is a function; its docstring gives the reason. A copy of this module starts without `cantica` (see startup.py).
"""

import functools
import json
import operator
import os
import pickle
from typing import Any, TextIO

CHECKED = "3.67.1"  # the version that the patches were checked against


_parsed: dict[str, bytes] = {}  # {text: its pickled content}, the last one that was used at the end


def _keep(text: str, pickled: bytes) -> None:
    _parsed[text] = pickled
    if len(_parsed) > 8:
        del _parsed[next(iter(_parsed))]


def yaml_parser() -> None:
    """DVC parses params.yaml anew for each stage, and dvc.lock twice. With this patch, a process parses a text once."""
    from dvc.utils import serialize
    from dvc.utils.serialize import _yaml

    stock = _yaml.parse_yaml

    def parse_yaml(text: str, path: str, typ: str = "safe") -> dict:
        if typ != "safe":
            return stock(text, path, typ)
        pickled = _parsed.pop(text, None) or pickle.dumps(stock(text, path))
        _keep(text, pickled)
        return pickle.loads(pickled)

    _yaml.parse_yaml = serialize.parse_yaml = parse_yaml


def lock_parser() -> None:
    """After each stage, DVC rewrites dvc.lock, for which it reads the file with a slow YAML parser that keeps comments.

    dvc.lock has no comments. This patch uses the parser in C, with which DVC reads the file everywhere else.
    """
    from dvc.utils.serialize import _yaml

    stock = _yaml.parse_yaml_for_update

    def parse_yaml_for_update(text: str, path: str) -> dict:
        return _yaml.parse_yaml(text, path) if os.path.basename(path) == "dvc.lock" else stock(text, path)

    _yaml.parse_yaml_for_update = parse_yaml_for_update


def lock_writer() -> None:
    """After each stage, DVC writes all of dvc.lock anew, with a slow YAML writer, and then parses what it wrote.

    With this patch, a process writes the lines of each stage once, and only those of a stage that changed anew. The lines are
    those of DVC's writer. What was written is not parsed.
    """
    from dvc.utils.serialize import _yaml

    stock, written = _yaml._dump, dict[str, str]()

    def dump(data: Any, stream: TextIO) -> None:
        if set(data) != {"schema", "stages"} or not data["stages"]:
            return stock(data, stream)
        stages = {json.dumps(named): named for named in data["stages"].items()}
        kept = {key: written.get(key) or _yaml.dumps_yaml({"stages": dict([named])}) for key, named in stages.items()}
        written.clear()
        written.update(kept)
        lines = "".join(text.removeprefix("stages:\n") for text in kept.values())
        text = f"{_yaml.dumps_yaml({'schema': data['schema']})}stages:\n{lines}"
        stream.write(text)
        _keep(text, pickle.dumps(_plain(data)))

    _yaml._dump = dump


def _plain(value: Any) -> Any:
    """Return what a YAML text of a value is parsed to: dictionaries and lists of no other class."""
    if isinstance(value, dict):
        return {key: _plain(own) for key, own in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def params_finder() -> None:
    """DVC looks for each parameter of a stage by comparing its name with every path in params.yaml.

    With this patch, it follows the keys of which the name consists, and searches only if that finds nothing.
    """
    import dpath

    stock = dpath.get

    def get(obj: Any, glob: Any, separator: str = "/", **default: Any) -> Any:
        try:
            return functools.reduce(operator.getitem, glob.split(separator), obj)
        except (AttributeError, KeyError, TypeError):
            return stock(obj, glob, separator, **default)

    dpath.get = get  # type: ignore[assignment]  # DVC gives it a name and a separator


AT_IMPORT = (yaml_parser, lock_parser, lock_writer, params_finder)
