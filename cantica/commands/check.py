"""`cantica check`: check everything that a researcher writes, within seconds, and the numbers and outputs of the last build."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cantica.capability.items import load_items
from cantica.commands.checks.base import KnownBase, known_base, no_tokens
from cantica.commands.checks.bytes import altered_bytes
from cantica.commands.checks.claims import claims_on_measures, read_measured
from cantica.commands.checks.kernels import compare_kernels
from cantica.commands.checks.lengths import Length, Lengths, kept_lengths, limit_faults, measured, thinking_faults
from cantica.commands.checks.numbers import wrong_numbers
from cantica.commands.checks.outputs import altered_outputs, outputs_text, wrong_outputs
from cantica.commands.checks.servers import server_faults
from cantica.commands.checks.system import system_faults
from cantica.commands.cite import cited_faults
from cantica.commands.text import counted, few
from cantica.commands.variants.files import FOLDER, file_faults, in_a_line, names
from cantica.commands.variants.fit import Fit, claim_of
from cantica.core.documents import raise_any, read_yaml
from cantica.core.errors import InputError, Problem
from cantica.core.fingerprint import fingerprint
from cantica.core.params import FILE, toolchain_faults
from cantica.dataset.operations import operations_of
from cantica.dataset.repairs import Repairs
from cantica.judging.answers import load_answers, responses_of
from cantica.judging.held_out import EvaluationPrompt, asked_of, kind_faults, load_prompts, question_of
from cantica.judging.rubric import Rubric
from cantica.judging.rules import criteria_faults, load_rules
from cantica.judging.rules_agreement import load_agreement
from cantica.probes.behaviour_files import chosen, load_behaviours
from cantica.probes.pairs import load_pairs
from cantica.scenarios.definition import failure_faults
from cantica.scenarios.imports import import_records, is_import
from cantica.scenarios.scenario import valid_scenarios
from cantica.scenarios.template_writer import render_category
from cantica.scenarios.templates import load_category
from cantica.settings.base_config import head_faults, layer_faults
from cantica.settings.check import check_params
from cantica.settings.shared import shared_folders, unknown_files

PROMPTS = Path("prompts")
VARIANTS_SHOWN = 5
T = TypeVar("T")


@dataclass
class Faults:
    """The problems found so far."""

    problems: list[Problem] = field(default_factory=list)

    def collect(self, function: Callable[..., T], *arguments: Any) -> T | None:
        """The result of a function; or None, with its problems added, where it raises InputError."""
        try:
            return function(*arguments)
        except InputError as error:
            self.problems.extend(error.problems)
            return None


def check_inputs() -> str:
    """Validate params.yaml, variants/ and prompts/, render every scenario in memory, ask the servers whether they are there.

    Where a build is there, its metrics are computed anew and its outputs are compared with dvc.lock. Returns a summary. It
    names variants that do not fit over the present params.yaml, which is no fault: another variant may lie over it already.

    Raises InputError with the faults of all files together; or else with those of metrics and outputs.
    """
    params = read_yaml(FILE)
    check_params(params, FILE)
    faults = Faults(toolchain_faults(params["toolchain"]))
    scenarios = _check_categories(params, faults)
    prompts = _check_prompts(params, faults)
    unfit = _check_claims(params, faults)
    folders = shared_folders(params, Path("data"), Path("models/adapters"))
    faults.problems += [problem for folder, known in folders.items() for problem in unknown_files(folder, known)]
    kernels = faults.collect(compare_kernels, params["toolchain"]["model"]["blas-core"])
    faults.problems += server_faults(params)
    raise_any(list(dict.fromkeys(faults.problems)))  # several categories or variants may have the same fault

    wrong, outputs = wrong_numbers(), altered_outputs()
    files = {problem.file for problem in wrong or []}
    altered = [problem for problem in wrong_outputs(outputs) if problem.file not in files]
    raise_any((wrong or []) + altered + altered_bytes() + cited_faults())
    summary = f"{counted(len(params['curriculum']), 'step')}, {counted(scenarios, 'scenario')}, {prompts} are in order"
    summary += "" if wrong is None else "; the metrics match the records"
    return "\n".join(filter(None, [summary, kernels, _unfit_text(unfit), *outputs_text(outputs)]))


def _check_claims(params: dict, faults: Faults) -> dict[str, list[Problem]]:
    """Check claims and the files of variants. Returns {variant: why} of those that do not fit over params.yaml."""
    measured, unfit = faults.collect(read_measured), {}
    broken = {name: problems for name in names() if (problems := file_faults(name))}
    faults.problems += [problem for problems in broken.values() for problem in problems]
    if measured is None:
        return {}
    fit = Fit(FILE.read_text(encoding="utf-8"), measured)
    faults.problems += faults.collect(claims_on_measures, params, measured, str(FILE)) or []
    faults.problems += fit.undecided(params, str(FILE))
    for name in names():
        if name not in broken and (problems := fit.faults(name)):
            own = [problem for problem in problems if problem.file == str(FOLDER / f"{name}.yaml")]
            if own and all(map(claim_of, problems)):
                faults.problems += own
            else:
                unfit[name] = problems
    return unfit


def _unfit_text(unfit: dict[str, list[Problem]]) -> str:
    """A line on the variants that do not fit over the present params.yaml, with the reason if there is one of them."""
    if len(unfit) > 1:
        named = few(list(unfit), VARIANTS_SHOWN)
        return f"variants that do not fit over the present params.yaml: {named}; `cantica variant diff NAME` says why"
    lines = [f"variant {name} does not fit over the present params.yaml: {in_a_line(own)}" for name, own in unfit.items()]
    return "".join(lines)


def _check_categories(params: dict, faults: Faults) -> int:
    """Check the base model and the categories against each other. Returns the number of scenarios."""
    base = faults.collect(known_base, params) or KnownBase()
    if params["base"]["source"] != "random":  # its faults are among those of params
        faults.problems += head_faults(base.config, base.file, "config") + layer_faults(params, base.config, str(FILE))
    faults.problems += system_faults(params, base.folder)
    categories: Lengths = {name: faults.collect(_lengths, name, params, base) or {} for name in params["categories"]}
    faults.problems += limit_faults(params, categories) + thinking_faults(params, categories)
    return sum(len(examples) for splits in categories.values() for examples in splits.values())


def _check_prompts(params: dict, faults: Faults) -> str:
    """Check evaluation prompts, answers, probes, rules, rubrics and capability items. Returns their numbers in words."""
    prompts = faults.collect(load_prompts, PROMPTS / "held_out")
    kinds = [file.stem for file in sorted((PROMPTS / "held_out").glob("*.yaml"))]
    faults.problems += kind_faults(kinds, params["held_out"], FILE)
    for own in params["answers"].values() if prompts is not None else ():  # without prompts, every id would be unknown
        faults.collect(_check_answers, Path(own["file"]), prompts, params["held_out"])
    pairs = faults.collect(load_pairs, PROMPTS / "probes" / "pairs") or []
    behaviours = faults.collect(load_behaviours, PROMPTS / "probes" / "behaviours")
    if behaviours is not None:
        faults.collect(chosen, behaviours, params["probe"]["behaviours"], FILE)
    if pairs:
        categories = params["categories"]
        probed = {categories[pair["category"]]["source"] for pair in pairs if pair["category"] in categories}
        without = [name for name, own in categories.items() if own["source"] not in probed]
        faults.problems += [_no_pairs(name) for name in without if _needs_pairs(name, params)]
    rules_file = PROMPTS / "judge" / "rules.yaml"
    if rules := faults.collect(load_rules, rules_file):
        faults.problems += criteria_faults(rules, [kind for kind in kinds if kind in params["held_out"]], rules_file)
    faults.collect(load_agreement, PROMPTS / "judge" / "agreement.json")
    items = faults.collect(load_items, PROMPTS / "capability", params["capability"]["seed"]) or {}
    for rubric in sorted({judge["rubric"] for judge in params["judges"].values()}):
        faults.collect(Rubric, PROMPTS / "judge" / rubric)
    known = [counted(len(prompts or []), "evaluation prompt"), counted(len(pairs), "probe pair")]
    return f"{', '.join(known)} and {counted(sum(map(len, items.values())), 'capability item')}"


def _check_answers(file: Path, prompts: list[EvaluationPrompt], per_group: dict[str, int]) -> None:
    """Check a file of answers: its lines, and whether it has an answer to a prompt that `held_out` selects."""
    responses_of(load_answers(file, prompts), [question_of(prompt) for prompt in asked_of(prompts, per_group, FILE)], file)


def _needs_pairs(category: str, params: dict) -> bool:
    """Whether a category is one of witnessed scenarios. Imports and plain chats need not be about a behaviour that fails."""
    source = Path(params["categories"][category]["source"])
    try:
        return not is_import(source) and load_category(source, PROMPTS / "writers/template").form != "plain"
    except InputError:
        return False  # `_check_categories` has found its faults


def _no_pairs(category: str) -> Problem:
    return Problem(str(PROMPTS / "probes" / "pairs" / f"{category}.yaml"), "", "no such file", f"probe pairs for {category}")


def _lengths(name: str, params: dict, base: KnownBase) -> dict[str, list[Length]]:
    """The lengths of a category's examples by split. Those of a category in order are kept until something of it changes."""
    source, templates = Path(params["categories"][name]["source"]), PROMPTS / "writers/template"
    settings = [name, params["categories"][name], params["data"], params["base"]]
    inputs = (source, templates, Path("schemas"), *base.counted_by)
    return kept_lengths(name, fingerprint(settings, inputs), lambda: _measured(name, params, base.count))


def _measured(name: str, params: dict, count: Callable[[str], int]) -> dict[str, list[Length]]:
    """The same. A category's scenarios are imported, or rendered from its templates."""
    settings, data = params["categories"][name], params["data"]
    source, seed = Path(settings["source"]), data["template"]["seed"]
    if is_import(source):
        scenarios = import_records(source, name, settings, seed)
    else:
        category = load_category(source, PROMPTS / "writers/template")
        scenarios = valid_scenarios(render_category(category, settings, seed, name))
        if data["writer"] != "template":
            raise_any(failure_faults(category.definition, source, "the writer `model`"))
            count = no_tokens  # a model will write other scenarios
    return measured(scenarios, Repairs(name, data["repairs"]), count, operations_of(name, data))
