"""Variants: overlays on params.yaml in `variants/<name>.yaml`, alone or composed: `shuffled+smoke`, from left to right."""

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from cantica.commands.git import git
from cantica.commands.variants.overlays import differences, has_key, inlined, lay, partial, remove
from cantica.commands.yaml_text import commented, to_text
from cantica.core.documents import faults, raise_any, read_yaml, validate, validator, validator_of
from cantica.core.errors import InputError, Problem, did_you_mean
from cantica.core.files import write_text
from cantica.core.params import FILE
from cantica.settings.check import check_params
from cantica.settings.claims import written

FOLDER = Path("variants")
# The params that `--seeds` sets: the randomness of training, of samples and of responses. Not that of categories and of samples
# by a server, so that the runs of all seeds have the same authored data. `*` stands for every entry of a section.
SEEDED = ("lora.seed", "train.seed", "samples.*.seed", "respond.seed", "servers.*.seed")
Load = Callable[[str], dict[str, Any]]
WORDS = {  # what an experiment says, unless it is over another that says it
    "question": "what the experiment asks",
    "finding": "what its sources found, in a sentence",
    "published": "what its sources found",
    "sources": "the publications that it repeats",
}
RECENT = 20  # commits that are searched for the params that a variant was written for


def names() -> list[str]:
    """Names of the variants, in alphabetical order."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def load_variant(name: str) -> dict[str, Any]:
    """A variant's file, validated by its schema. Raises InputError."""
    if name not in names():
        known = ", ".join(names())
        raise InputError(Problem(str(FOLDER), "", f"no variant {name!r}", f"one of {known}", did_you_mean(name, names())))
    file = FOLDER / f"{name}.yaml"
    return deepcopy(_validated(file, file.read_bytes()))


@lru_cache(256)
def _validated(file: Path, content: bytes) -> dict[str, Any]:
    """A variant's file with this content, which is read and validated once."""
    variant = read_yaml(file)
    validate(variant, "variant", file)
    return variant


def file_faults(name: str) -> list[Problem]:
    """The faults of a variant's file, and of the variants it is `over`, that do not depend on params.yaml."""
    file = FOLDER / f"{name}.yaml"
    try:
        variant = load_variant(name)
        missing, known = [other for other in variant.get("over", []) if other not in names()], ", ".join(names())
        raise_any([Problem(str(file), "over", repr(m), f"one of {known}", did_you_mean(m, names())) for m in missing])
        wordless = _wordless(name, str(file))
    except InputError as error:
        return list(error.problems)
    whole = inlined(validator("params").schema)
    check = validator_of({"properties": {"params": partial(whole)}})
    unknown = [key for key in variant.get("remove", []) if not has_key(whole, key.split("."))]
    hints = [did_you_mean(key, whole["properties"]) for key in unknown]
    removed = [Problem(str(file), "remove", repr(k), "a key of params.yaml", h) for k, h in zip(unknown, hints, strict=True)]
    wrong = faults(variant, check, file)
    return (
        wordless
        + removed
        + wrong
        + ([] if wrong else variant_faults(variant.get("params", {}).get("claims", {}), str(file), name))
    )


def _wordless(name: str, file: str) -> list[Problem]:
    """A Problem for each of WORDS that an experiment lacks, unless it is over another experiment. Raises InputError."""
    *below, top = (load_variant(part) for part in parts(name))
    own = top.get("experiment")
    if own is None or any("experiment" in variant for variant in below):
        return []
    hint = "full-size settings of an experiment name it in `over`, and need only `differs`"
    return [
        Problem(file, f"experiment.{key}", "nothing", f"{what}, since it is over no other experiment", hint)
        for key, what in WORDS.items()
        if key not in own
    ]


def variant_faults(claims: dict[str, Any], file: str, own: str = "") -> list[Problem]:
    """A Problem for each claim across variants that names no other variant. own: the variant that makes the claims, if any."""
    others = [name for name in names() if name != own]
    return [
        Problem(
            file, f"{place}.against.variant", repr(part), f"another variant: {', '.join(others)}", did_you_mean(part, others)
        )
        for name, claim in claims.items()
        for place, statement in written(name, claim)
        if isinstance(against := statement.get("against"), dict)
        for part in against["variant"].split("+")
        if part not in others
    ]


def in_a_line(problems: list[Problem]) -> str:
    """The first of several problems, and the number of the others."""
    first, more = problems[0], f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    place = ": ".join(filter(None, [first.file, first.place]))
    return f"{place}: {first.got}; expected {first.expected}{more}"


def parts(name: str, load: Load = load_variant, within: tuple[str, ...] = ()) -> list[str]:
    """The variants that a name such as `joint-shuffled+smoke` stands for, each after those that it is `over`.

    load: returns the file of a variant by its name. Raises InputError, also if a variant is over itself.
    """
    found = []
    for part in name.split("+"):
        if part in within:
            got = " over ".join([*within[within.index(part) :], part])
            raise InputError(Problem(str(FOLDER / f"{part}.yaml"), "over", got, "variants that are not over this one"))
        below = "+".join(load(part).get("over", []))
        found += [*(parts(below, load, (*within, part)) if below else []), part]
    return found


def overlaid(name: str, text: str | None = None, seed: int | None = None) -> dict[str, Any]:
    """params.yaml with its comments, with variants laid over it and the seed set. It is validated by the schema.

    text: another params.yaml than that of the working tree. Raises InputError. It names the file of the variant that causes
    each fault; or the commit whose params.yaml the variant was written for, if it fits there.
    """
    own = FILE.read_text(encoding="utf-8") if text is None else text
    try:
        return laid_over(name, own, seed)
    except InputError as error:
        if problem := written_for(name, own, error.problems[0], lambda text: bool(laid_over(name, text))):
            raise InputError(problem) from None
        raise


def written_for(name: str, own: str, first: Problem, fits: Callable[[str], bool]) -> Problem | None:
    """A Problem that names the last commit with a params.yaml over which the variants fit, in place of `first`.

    None if no recent commit has one, and if the params `own` are wrong even without the variants. `fits` may raise InputError.
    """
    if _faults(commented(own), str(FILE)):
        return None
    for line in (git("log", f"--max-count={RECENT}", "--format=%h %s", "--", str(FILE)) or "").splitlines():
        commit, subject = line.split(" ", 1)
        text = git("show", f"{commit}:./{FILE}")
        if text is None or text == own:
            continue
        with suppress(InputError):
            if fits(text):
                got = f"not the params that {name} was written for: with it, {first.place} is wrong ({first.got})"
                hint = f"`git restore --source {commit} {FILE}` brings them back; commit them for commands that build HEAD"
                return Problem(str(FILE), "", got, f"params such as those of {commit} ({subject})", hint)
    return None


def laid_over(name: str, text: str, seed: int | None = None) -> dict[str, Any]:
    """Like `overlaid`, for the text of a params.yaml, without a look at other commits."""
    params = deepcopy(commented(text))
    caused: dict[tuple[str, str], Problem] = {}  # by place and value: the first part that has the fault

    def note(file: Path) -> None:
        for problem in _faults(params, f"{file} over {FILE}"):
            caused.setdefault((problem.place, problem.got), problem)

    lay_parts(params, parts(name), seed, load_variant, note)
    raise_any([caused.get((p.place, p.got), p) for p in _faults(params, f"variant {name} over {FILE}")])
    return params


def lay_parts(params: dict[str, Any], found: list[str], seed: int | None, load: Load, after: Callable[[Path], object]) -> None:
    """Lay variants over params, in place, and set the seed. `after` is called with the file of each variant once it is laid."""
    budgets: dict[str, tuple[int, Path]] = {}
    for part in found:
        variant, file = load(part), FOLDER / f"{part}.yaml"
        patch = variant.get("params", {})
        remove(params, variant.get("remove", []), patch, str(file))
        lay(params, patch)
        budgets |= {step: (count, file) for step, count in variant.get("budget", {}).items()}
        after(file)
    for step, (count, file) in budgets.items():
        _give(params, step, count, file)
    for key in SEEDED if seed is not None else ():
        section, *entry = key.split(".")[:-1]
        for holder in params[section].values() if entry else [params[section]]:
            holder["seed"] = seed


def _faults(params: dict[str, Any], file: str) -> list[Problem]:
    try:
        check_params(params, Path(file))
    except InputError as error:
        return list(error.problems)
    return []


def _give(params: dict[str, Any], step: str, count: int, file: Path) -> None:
    """Give a step the iterations of `count` steps. This comes after all overlays, so that none can make arms unequal."""
    curriculum = params.get("curriculum", {})
    if step not in curriculum:
        hint = did_you_mean(step, curriculum)
        raise InputError(Problem(str(file), f"budget.{step}", repr(step), "a step of the curriculum", hint))
    curriculum[step]["iters"] = count * params["train"]["iters"]


def apply_variant(name: str) -> list[str]:
    """Write the overlaid params.yaml and return a line for each key that changed."""
    before, after = read_yaml(FILE), overlaid(name)
    changes = differences(before, after)
    if changes:
        write_text(FILE, to_text(after))
    return changes
