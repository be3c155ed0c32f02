"""Whether the language-model servers that a build will ask are there, asked before anything is built."""

import os
import threading
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from cantica.core.errors import InputError, Problem
from cantica.core.params import FILE
from cantica.llm.server import KEY
from cantica.scenarios.imports import is_import

SECONDS = 2  # that all servers together have to answer


def server_faults(params: dict) -> list[Problem]:
    """A Problem for each server in params that gives no answer in time, where a stage would ask it that is not built yet."""
    stages = _stages(params)
    silent = _silent({section: _options(params, section)["base_url"] for section in stages})
    built = _built() if silent else set()
    expected = f"a server that answers within {SECONDS} seconds"
    hint = f"start it, or correct its address; its key, if it needs one, is in {KEY}"
    return [
        Problem(str(FILE), f"{section}.base_url", f"{_options(params, section)['base_url']}: {said}", expected, hint)
        for section, said in silent.items()
        if not built.issuperset(stages[section])
    ]


def _stages(params: dict) -> dict[str, list[str]]:
    """The stages that ask the server of each section of params which has one that is used."""
    sections = {f"judges.{name}": [f"verdict@{name}"] for name, judge in params["judges"].items() if judge["by"] == "server"}
    written = [name for name, settings in params["categories"].items() if not is_import(Path(settings["source"]))]
    if params["data"]["writer"] == "model" and written:
        sections["data.model"] = [f"render@{name}" for name in written]
    return sections


def _options(params: dict, section: str) -> dict:
    part, name = section.split(".")
    return params[part][name]


def _silent(urls: dict[str, str]) -> dict[str, str]:
    """What went wrong with each server that did not answer, by section. All are asked at once."""
    said = dict.fromkeys(urls, "no answer")
    threads = [threading.Thread(target=_ask, args=(section, url, said), daemon=True) for section, url in urls.items()]
    for thread in threads:
        thread.start()
    end = time.monotonic() + SECONDS
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
    return {section: text for section, text in said.items() if text}


def _ask(section: str, url: str, said: dict[str, str]) -> None:
    """Ask a server for its models. Whatever it answers, it is there; only a key that it refuses is a fault."""
    request = Request(f"{url.rstrip('/')}/models")
    if key := os.environ.get(KEY):
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    try:
        urlopen(request, timeout=SECONDS).close()
        said[section] = ""
    except HTTPError as error:
        said[section] = f"{error.code}, the key is refused" if error.code == 401 else ""
    except Exception as error:  # whatever an address, a name server or a broken line may raise
        said[section] = " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__


def _built() -> set[str]:
    """The stages that `dvc repro` would not run; none where DVC cannot tell."""
    from cantica.commands.plan import plan

    try:
        return {stage for stage, fate in plan().items() if fate.what != "runs"}
    except InputError:
        return set()
