"""Check everything that a researcher writes, in a second, without building anything, and the numbers that were built."""

from pathlib import Path

from cantica.blas import compare_kernels
from cantica.numbers import wrong_numbers
from cantica.outputs import altered_outputs, outputs_text, wrong_outputs
from stages.check import check_params, shared_folders, unnamed
from stages.lib.capability import load_items
from stages.lib.common.documents import raise_any, read_yaml
from stages.lib.common.errors import InputError, Problem
from stages.lib.held_out import asked_of, load_prompts
from stages.lib.imports import import_records, is_import
from stages.lib.pairs import load_pairs
from stages.lib.params import FILE, toolchain_faults
from stages.lib.rubric import Rubric
from stages.lib.rules import load_rules
from stages.lib.triggers import load_triggers
from stages.lib.writers.template import load_category, render_category
from stages.render import checked

PROMPTS = Path("prompts")


def check_inputs() -> str:
    """Hold params.yaml and prompts/ against their schemas, render every scenario in memory, and say what was checked.

    Where a build is there, its metrics are computed anew from its records, and outputs are held against what their stages made.
    Raises InputError with the faults of all files together; those of metrics and outputs come once the inputs are in order.
    """
    params = read_yaml(FILE)
    check_params(params, FILE)
    problems: list[Problem] = toolchain_faults(params["toolchain"])

    def collect(function, *arguments):
        try:
            return function(*arguments)
        except InputError as error:
            problems.extend(error.problems)
            return 0 if function is _count else []

    seed, scenarios = params["data"]["template"]["seed"], 0
    for name, settings in params["categories"].items():
        scenarios += collect(_count, name, settings, seed)
    prompts = collect(load_prompts, PROMPTS / "held_out")
    collect(asked_of, prompts, params["held_out"], FILE)
    pairs = collect(load_pairs, PROMPTS / "probes" / "pairs")
    collect(load_triggers, PROMPTS / "probes" / "triggers", params["probe"]["triggers"], FILE)
    probed = {pair["category"] for pair in pairs}
    written = [name for name, settings in params["categories"].items() if not is_import(Path(settings["source"]))]
    problems += [_unprobed(name) for name in written if pairs and name not in probed]
    collect(load_rules, PROMPTS / "judge" / "rules.yaml")
    items = collect(load_items, PROMPTS / "capability", params["capability"]["seed"])
    for rubric in sorted({judge["rubric"] for judge in params["judges"].values()}):
        collect(Rubric, PROMPTS / "judge" / rubric)
    folders = shared_folders(params, Path("data"), Path("models/adapters"))
    problems += [problem for folder, names in folders.items() for problem in unnamed(folder, names)]
    kernels = collect(compare_kernels, params["toolchain"]["blas-core"])
    raise_any(problems)
    wrong, outputs = wrong_numbers(), altered_outputs()
    told = {problem.file for problem in wrong or []}
    raise_any((wrong or []) + [problem for problem in wrong_outputs(outputs) if problem.file not in told])
    counts = f"{len(params['curriculum'])} steps, {scenarios} scenarios, {len(prompts)} held-out prompts"
    counts += f", {len(pairs)} probe pairs and {sum(map(len, items.values()))} capability items"
    summary = f"{counts} are in order{'' if wrong is None else '; the metrics are those of their records'}"
    return "\n".join(filter(None, [summary, kernels, *outputs_text(outputs)]))


def _unprobed(category: str) -> Problem:
    return Problem(str(PROMPTS / "probes" / "pairs" / f"{category}.yaml"), "", "no such file", f"probe pairs for {category}")


def _count(name: str, settings: dict, seed: int) -> int:
    """The number of a category's scenarios, each imported or rendered from its templates to see that it can be."""
    source = Path(settings["source"])
    if is_import(source):
        return sum(1 for _ in import_records(source, name, settings, seed))
    return sum(1 for _ in checked(render_category(load_category(source, PROMPTS / "writers/template"), settings, seed)))
