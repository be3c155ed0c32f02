"""Check everything that a researcher writes, in seconds, without building anything, and the numbers that were built."""

from collections.abc import Callable
from pathlib import Path

from cantica.capability.items import load_items
from cantica.commands.checks.base import known_base
from cantica.commands.checks.kernels import compare_kernels
from cantica.commands.checks.lengths import Length, limit_faults, measured
from cantica.commands.checks.numbers import wrong_numbers
from cantica.commands.checks.outputs import altered_outputs, outputs_text, wrong_outputs
from cantica.commands.checks.servers import server_faults
from cantica.commands.variants.files import file_faults, in_a_line, misfits, names
from cantica.core.documents import raise_any, read_yaml
from cantica.core.errors import InputError, Problem
from cantica.core.params import FILE, toolchain_faults
from cantica.judging.held_out import kind_faults, load_prompts
from cantica.judging.lexical import load_agreement
from cantica.judging.rubric import Rubric
from cantica.judging.rules import criteria_faults, load_rules
from cantica.probes.pairs import load_pairs
from cantica.probes.triggers import load_triggers
from cantica.scenarios.checked import checked
from cantica.scenarios.imports import import_records, is_import
from cantica.scenarios.template_writer import load_category, render_category
from cantica.settings.base_config import head_faults, layer_faults
from cantica.settings.check import check_params
from cantica.settings.shared import shared_folders, unnamed

PROMPTS = Path("prompts")


def check_inputs() -> str:
    """Hold params.yaml, variants/ and prompts/ against their schemas, render every scenario in memory, ask the servers whether
    they are there, and say what was checked. A variant that does not fit over params.yaml as it is now, where another may lie
    already, is no fault, but named.

    Where a build is there, its metrics are computed anew from its records, and outputs are held against what their stages made.
    Raises InputError with the faults of all files together; those of metrics and outputs come once the inputs are in order.
    """
    params = read_yaml(FILE)
    check_params(params, FILE)
    problems: list[Problem] = toolchain_faults(params["toolchain"])

    def collect(function, *arguments, otherwise=()):
        try:
            return function(*arguments)
        except InputError as error:
            problems.extend(error.problems)
            return otherwise

    config, config_file, count = collect(known_base, params, otherwise=({}, "", _nothing))
    if params["base"]["source"] != "random":  # whose faults are among those of params
        problems += head_faults(config, config_file, "config") + layer_faults(params, config, str(FILE))
    lengths = {name: collect(_lengths, name, params, count, otherwise={}) for name in params["categories"]}
    problems += limit_faults(params, lengths)
    prompts = collect(load_prompts, PROMPTS / "held_out")
    kinds = [file.stem for file in sorted((PROMPTS / "held_out").glob("*.yaml"))]
    problems += kind_faults(kinds, params["held_out"], FILE)
    pairs = collect(load_pairs, PROMPTS / "probes" / "pairs")
    collect(load_triggers, PROMPTS / "probes" / "triggers", params["probe"]["triggers"], FILE)
    probed = {pair["category"] for pair in pairs}
    written = [name for name, settings in params["categories"].items() if not is_import(Path(settings["source"]))]
    problems += [_unprobed(name) for name in written if pairs and name not in probed]
    rules_file = PROMPTS / "judge" / "rules.yaml"
    if rules := collect(load_rules, rules_file):
        problems += criteria_faults(rules, [kind for kind in kinds if kind in params["held_out"]], rules_file)
    collect(load_agreement, PROMPTS / "judge" / "agreement.json")
    items = collect(load_items, PROMPTS / "capability", params["capability"]["seed"])
    for rubric in sorted({judge["rubric"] for judge in params["judges"].values()}):
        collect(Rubric, PROMPTS / "judge" / rubric)
    folders = shared_folders(params, Path("data"), Path("models/adapters"))
    problems += [problem for folder, names in folders.items() for problem in unnamed(folder, names)]
    kernels = collect(compare_kernels, params["toolchain"]["model"]["blas-core"])
    problems += [problem for name in names() for problem in file_faults(name)] + server_faults(params)
    raise_any(list(dict.fromkeys(problems)))  # several categories or variants may meet one fault
    wrong, outputs = wrong_numbers(), altered_outputs()
    told = {problem.file for problem in wrong or []}
    raise_any((wrong or []) + [problem for problem in wrong_outputs(outputs) if problem.file not in told])
    scenarios = sum(len(found) for splits in lengths.values() for found in splits.values())
    counts = f"{len(params['curriculum'])} steps, {scenarios} scenarios, {len(prompts)} held-out prompts"
    counts += f", {len(pairs)} probe pairs and {sum(map(len, items.values()))} capability items"
    summary = f"{counts} are in order{'' if wrong is None else '; the metrics are those of their records'}"
    unfit = {name: found for name in names() if (found := misfits(name))}
    misfit = [f"{name} does not fit over params.yaml as it is: {in_a_line(p)}" for name, p in unfit.items()]
    return "\n".join(filter(None, [summary, kernels, *misfit, *outputs_text(outputs)]))


def _unprobed(category: str) -> Problem:
    return Problem(str(PROMPTS / "probes" / "pairs" / f"{category}.yaml"), "", "no such file", f"probe pairs for {category}")


def _lengths(name: str, params: dict, count: Callable[[str], int]) -> dict[str, list[Length]]:
    """The lengths of a category's scenarios, each imported or rendered from its templates to see that it can be."""
    settings, data = params["categories"][name], params["data"]
    source, seed = Path(settings["source"]), data["template"]["seed"]
    if is_import(source):
        scenarios = import_records(source, name, settings, seed)
    else:
        category = load_category(source, PROMPTS / "writers/template")
        scenarios = checked(render_category(category, settings, seed))
        if data["writer"] != "template":
            count = _nothing  # other scenarios will be written
    return measured(scenarios, count, data["thinking"] and data["pairing"] == "matched")


def _nothing(text: str) -> int:
    return 0
