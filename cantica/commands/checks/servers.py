"""Do the language-model servers that a build will ask answer? They are asked before anything is built."""

import os
import threading
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from cantica.commands.dvc.forecast import predict
from cantica.commands.dvc.project import read_present, read_project
from cantica.core.errors import InputError, Problem
from cantica.core.params import FILE
from cantica.llm.server import KEY
from cantica.scenarios.imports import is_import

SECONDS = 2  # for all servers together to answer


def server_faults(params: dict) -> list[Problem]:
    """A Problem for each server in params that gives no answer in time, if a stage that `dvc repro` would run asks it."""
    stages = _stages(params)
    silent = _silent({section: _options(params, section)["base_url"] for section in stages})
    built = _built() if silent else set()
    expected = f"a server that answers within {SECONDS} seconds"
    hint = f"start it, or correct its address; if it needs a key, set {KEY}"
    return [
        Problem(str(FILE), f"{section}.base_url", f"{_options(params, section)['base_url']}: {fault}", expected, hint)
        for section, fault in silent.items()
        if not built.issuperset(stages[section])
    ]


def _stages(params: dict) -> dict[str, list[str]]:
    """The stages that ask a server, by the section of params that names the server."""
    sections = {f"judges.{name}": [f"verdict@{name}"] for name, judge in params["judges"].items() if judge["by"] == "server"}
    sections |= {f"servers.{arm}": [f"respond_server@{arm}"] for arm in params["servers"]}
    sections |= {f"server_samples.{name}": [f"sample_server@{name}"] for name in params["server_samples"]}
    written = [name for name, settings in params["categories"].items() if not is_import(Path(settings["source"]))]
    if params["data"]["writer"] == "model" and written:
        sections["data.model"] = [f"render@{name}" for name in written]
    return sections


def _options(params: dict, section: str) -> dict:
    part, name = section.split(".")
    return params[part][name]


def _silent(urls: dict[str, str]) -> dict[str, str]:
    """What went wrong with each server that did not answer, by section. All are asked at once."""
    faults = dict.fromkeys(urls, "no answer")
    threads = [threading.Thread(target=_ask, args=(section, url, faults), daemon=True) for section, url in urls.items()]
    for thread in threads:
        thread.start()
    end = time.monotonic() + SECONDS
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
    return {section: text for section, text in faults.items() if text}


def _ask(section: str, url: str, faults: dict[str, str]) -> None:
    """Ask a server for its models. Any answer shows that it is there; only a refused key is a fault."""
    request = Request(f"{url.rstrip('/')}/models")
    if key := os.environ.get(KEY):
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    try:
        urlopen(request, timeout=SECONDS).close()
        faults[section] = ""
    except HTTPError as error:
        faults[section] = f"{error.code}, the key is refused" if error.code == 401 else ""
    except Exception as error:  # whatever an address, a name server or a broken line may raise
        faults[section] = " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__


def _built() -> set[str]:
    """The stages that `dvc repro` would not run; none if DVC cannot tell."""
    try:
        project = read_project()
        forecasts = predict(project.lock, read_present(project, list(project.graph)))
    except InputError:
        return set()
    return {stage for stage, own in forecasts.items() if own.action != "runs"}
