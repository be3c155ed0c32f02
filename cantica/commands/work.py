"""How much work a stage has, to scale the time that it took before. Pure."""

import math
import re
from dataclasses import dataclass
from typing import Any

from cantica.reporting.nested import flatten
from cantica.settings.tree_faults import SAMPLES

# The params by which the work of a kind of stage grows in proportion. {name} is what follows @ in the name of the stage.
GROWING = {
    "measure": ("measure.examples",),
    "measure_base": ("measure.examples",),
    "respond": ("respond.samples", "respond.max_tokens"),
    "respond_server": ("respond.samples", "servers.{name}.max_tokens"),
    "sample": ("samples.{name}.samples", "samples.{name}.max_tokens"),
    "sample_server": ("server_samples.{name}.samples", "server_samples.{name}.max_tokens"),
    "verdict": ("judges.{name}.max_tokens",),
    "probe": ("probe.max_tokens",),
    "capability": ("capability.items", "capability.max_tokens"),
}
ANSWERING = ("respond", "respond_server", "sample", "sample_server")  # whose work also grows with the number of prompts
# The sections of params whose other keys change the time in an unknown way.
SECTION = {
    "base": "base.",
    "respond_server": "servers.{name}.",
    "sample": "samples.{name}.",
    "sample_server": "server_samples.{name}.",
    "verdict": "judges.{name}.",
}
SCALED = {"train", "base", "render", "dataset", "audit", "export", *GROWING}
TRAINED = ("grad_checkpoint", "launch")  # settings of `train` that change its time in an unknown way


@dataclass(frozen=True)
class Work:
    """The work of a stage.

    params: those that it reads, by dotted key down to single values. base: bytes of the base model, None if not known.
    prompts: number of evaluation prompts; for a sample, number of examples whose prompts it answers.
    """

    params: dict[str, Any]
    base: int | None = None
    prompts: float = 0


def scaled(record: dict[str, Any], stage: str, work: Work) -> float | None:
    """Seconds that a stage's work takes, by the timing of an earlier stage of its kind; None if that cannot be computed.

    Work grows with iterations, batch, length and counts. How the time depends on the base model is not known.
    """
    kind = stage.partition("@")[0]
    if record.get("base", work.base) != work.base or ("params" not in record and kind in SCALED):
        return None
    if "params" not in record:
        return record["seconds"]
    lines = record["lines"]
    was = Work(flatten(record["params"]), record.get("base"), lines.get("questions", lines.get("prompts", 0)))
    before, after = amount(record["stage"], was), amount(stage, work)
    same = unscaled(record["stage"], was) == unscaled(stage, work)
    return record["seconds"] * after / before if same and before else None


def amount(stage: str, work: Work) -> float:
    """The amount of work, in a unit that depends on the kind of stage."""
    kind, _, name = stage.partition("@")
    params = work.params
    if kind == "train":
        return math.prod(_of_step(params, name, key) for key in ("iters", "batch_size", "max_seq_length"))
    if kind in ("render", "dataset", "audit", "export"):
        counts = [value for key, value in params.items() if re.fullmatch(r"categories\.\w+\.(train|valid)", key)]
        return 1 + sum(counts)
    prompts = work.prompts if kind in ANSWERING else 1
    return prompts * math.prod(params[key] for key in _growing(kind, name))


def unscaled(stage: str, work: Work) -> list:
    """The params of a stage that change its time in an unknown way."""
    kind, _, name = stage.partition("@")
    if kind == "train":
        return [_of_step(work.params, name, "layers", "lora"), *(_of_step(work.params, name, key) for key in TRAINED)]
    if kind not in SECTION:
        return []
    prefix = SECTION[kind].format(name=name)
    other = [key for key in work.params if key.startswith(prefix) and key not in _growing(kind, name)]
    return sorted((key.removeprefix(prefix), str(work.params[key])) for key in other)


def examples_in(data: str, params: dict[str, Any]) -> float:
    """The number of examples in a data file, such as train/<category>; in a sample, if all its answers are kept."""
    folder, name = data.split("/")
    if folder == "samples":
        own = next(params[section][name] for section in SAMPLES if name in params[section])
        return own["samples"] * examples_in(own["prompts"], params)
    weights = params["mixes"][name] if folder == "mixes" else {name: 1}
    return sum(weight * params["categories"][category]["train"] for category, weight in weights.items())


def _growing(kind: str, name: str) -> list[str]:
    return [key.format(name=name) for key in GROWING.get(kind, ())]


def _of_step(params: dict[str, Any], step: str, key: str, section: str = "train") -> Any:
    """A setting of a step: its own, or that of all steps."""
    return params.get(f"curriculum.{step}.{key}", params.get(f"{section}.{key}"))
