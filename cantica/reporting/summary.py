"""What was trained into which model, in two sentences. Pure."""

from typing import Any

from cantica.core.records import TrainingRecord

MANY = 6  # names are listed up to this number


def summary(params: dict[str, Any], training: dict[str, TrainingRecord], compared: list[tuple[str, str]]) -> str:
    """Return the sentences that open the report: the model, the steps, how much of the data they saw, the seed, the control."""
    curriculum, model = params["curriculum"], params["base"]["model"]
    steps = len(curriculum)
    names = [own["data"].partition("/")[2].replace("_", " ") for own in curriculum.values()]
    data = listed(names) if steps <= MANY else f"{names[0]} first, {names[-1]} last"
    trained = f"{model} was not trained."
    if steps:
        seen, given = seen_of(training)
        share = f" ({100 * seen / given:.0f}%)" if given else ""
        trained = (
            f"{model} was trained in {steps} LoRA step{'s' if steps != 1 else ''}, by the category of the data: {data}. "
            f"The training saw {seen:,} of {given:,} examples{share}, in one run with one seed ({params['train']['seed']})."
        )
    against = " and ".join(f"{arm} with {other}" for arm, other in compared[:MANY])
    return f"{trained} {f'Compared: {against}' if against else 'Nothing is compared'}."


def listed(names: list[str]) -> str:
    """Return names as text: "one, two and three"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


def seen_of(training: dict[str, TrainingRecord]) -> tuple[int, int]:
    """Return how many examples the steps saw, each at most once, and how many they were given."""
    seen = sum(min(own["examples"], round(own["epochs"] * own["examples"])) for own in training.values())
    return seen, sum(own["examples"] for own in training.values())
