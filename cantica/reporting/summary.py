"""What was trained into which model, in one sentence. Pure."""

from typing import Any

from cantica.core.records import TrainingRecord

MANY = 6  # names are listed up to this number


def summary(params: dict[str, Any], training: dict[str, TrainingRecord], compared: list[tuple[str, str]]) -> str:
    """Return the sentence that opens the report: the model, the steps, how much of the data they saw, the seed, the control."""
    curriculum, model = params["curriculum"], params["base"]["model"]
    steps = len(curriculum)
    names = [f"{own['data'].partition('/')[2]}".replace("_", " ") for own in curriculum.values()]
    data = f" ({', '.join(names)})" if steps <= MANY else f", from {names[0]} to {names[-1]}"
    sentence = f"{model} was not trained"
    if steps:
        seen, given = seen_of(training)
        share = f" ({100 * seen / given:.0f}%)" if given else ""
        sentence = (
            f"{model} was trained in {steps} LoRA step{'s' if steps != 1 else ''}{data}, which saw {seen:,} of their {given:,} "
            f"training examples{share}, in one run with one seed ({params['train']['seed']})"
        )
    against = " and ".join(f"{arm} with {other}" for arm, other in compared[:MANY])
    return f"{sentence}; {f'compared: {against}' if against else 'nothing is compared'}."


def seen_of(training: dict[str, TrainingRecord]) -> tuple[int, int]:
    """Return how many examples the steps saw, each at most once, and how many they were given."""
    seen = sum(min(own["examples"], round(own["epochs"] * own["examples"])) for own in training.values())
    return seen, sum(own["examples"] for own in training.values())
