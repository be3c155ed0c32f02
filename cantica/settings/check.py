"""Check a whole params.yaml: against its schema, and then what a schema cannot express.

The package `settings` knows how the sections of params.yaml belong together: the curriculum as a tree, and the files that the
stages write for it. It is separate from `core` because every stage depends on `core`, and a change here must not rerun all
stages.
"""

from collections import Counter
from pathlib import Path

from cantica.core.documents import raise_any, validate
from cantica.core.errors import Problem, did_you_mean
from cantica.core.patterns import pattern_faults
from cantica.settings.arms import SECTIONS, all_arms
from cantica.settings.base_config import head_faults, layer_faults
from cantica.settings.claims import claim_faults
from cantica.settings.tree_faults import SAMPLES, tree_faults


def check_params(params: dict, file: Path) -> None:
    """Raise InputError with every fault of params.

    Beyond the schema, the curriculum must be a tree, the names of points, files, categories and arms must exist, a pairwise
    judge needs two arms, and the config of a random base model must be valid.
    """
    validate(params, "params", file)
    checks = (tree_faults, _sample_faults, _category_faults, _arm_faults, claim_faults, _judge_faults, _base_faults)
    raise_any([problem for check in checks for problem in check(params, str(file))])


def _sample_faults(params: dict, file: str) -> list[Problem]:
    """Return a Problem for each sample with the name of a category or another sample, and for each invalid filter."""
    keep = [
        (f"{section}.{name}.keep.{key}", own["keep"][key])
        for section in SAMPLES
        for name, own in params[section].items()
        for key in ("pattern", "without")
        if key in own.get("keep", {})
    ]
    return _shared_names(params, ("categories", *SAMPLES), "a sample", file) + pattern_faults(keep, Path(file))


def _shared_names(params: dict, sections: tuple[str, ...], what: str, file: str) -> list[Problem]:
    """Return a Problem for each name that occurs in several sections."""
    counts = Counter(name for section in sections for name in params[section])
    expected = f"a name of its own for {what} in {', '.join(sections)}"
    return [
        Problem(file, f"{section}.{name}", "a name that occurs twice", expected)
        for section in sections[1:]
        for name in params[section]
        if counts[name] > 1
    ]


def _category_faults(params: dict, file: str) -> list[Problem]:
    """Return a Problem for each unknown category in the operations and repairs of data, and in the severities of the audit."""
    categories = list(params["categories"])
    samples = [name for section in SAMPLES for name in params[section]]
    data, audit = params["data"], params["audit"]
    named = [
        ("data.categories", data["categories"], categories, "a category"),
        ("data.repairs", data["repairs"], categories, "a category"),
        ("audit.categories", audit["categories"], [*categories, *samples], "a category or sample" if samples else "a category"),
    ]
    return [
        Problem(file, place, repr(name), f"{kind}: {', '.join(known)}", did_you_mean(name, known))
        for place, names, known, kind in named
        for name in names
        if name not in known
    ]


def _arm_faults(params: dict, file: str) -> list[Problem]:
    """Return a Problem for each name that two arms share, and for each unknown arm in `contrasts`."""
    known = all_arms(params)
    unknown = [(number, name) for number, pair in enumerate(params["contrasts"]) for name in pair if name not in known]
    return _shared_names(params, SECTIONS, "an arm", file) + [
        Problem(file, f"contrasts.{number}", repr(name), f"an arm: {', '.join(known)}", did_you_mean(name, known))
        for number, name in unknown
    ]


def _judge_faults(params: dict, file: str) -> list[Problem]:
    """Return a Problem for each pairwise judge if there are fewer than two arms to compare."""
    pairwise = [name for name, judge in params["judges"].items() if judge["kind"] == "pairwise"]
    expected = "at least two arms for a pairwise judge"
    arms = all_arms(params)
    return [Problem(file, f"judges.{name}.kind", f"{len(arms)} arm", expected) for name in pairwise if len(arms) < 2]


def _base_faults(params: dict, file: str) -> list[Problem]:
    """Return the faults of the config of a random base model. The config of any other model is not in params."""
    if params["base"]["source"] != "random":
        return []
    config = params["base"]["random"]["config"]
    return head_faults(config, file, "base.random.config") + layer_faults(params, config, file)
