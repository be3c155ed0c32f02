"""What the audit finds: how serious it is, what of it is waived, and findings that no single example has."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from cantica.dataset.words import words
from cantica.lint.statistics import parts_of
from cantica.settings.tree import path_to

FEW = 5  # answers that may open alike in any sample
# Worst first: what spoils data or evaluation, then single examples, then the dataset's balance.
RULES = (
    *("schema", "personal_data", "was_held_out", "held_out_overlap", "split_overlap", "derangement", "turns", "cut_off"),
    *("exact_duplicate", "same_answer", "too_long", "near_duplicate", "openers", "budget", "unused_waiver"),
)
SEVERITIES = ("error", "warning", "waived")


class Severities:
    """How serious findings are, by `audit.rules`, `audit.categories` and `audit.waivers` of params."""

    def __init__(self, settings: dict):
        self.rules, self.categories, self.waivers = settings["rules"], settings["categories"], settings["waivers"]
        self.waived = {(w["rule"], record): w["reason"] for w in self.waivers for record in w["records"]}
        self.used: set[tuple[str, str]] = set()

    def of(self, rule: str, *categories: str) -> str:
        """error, warning or off: the mildest that the rule has in these categories."""
        found = [self.categories.get(category, {}).get(rule, self.rules[rule]) for category in categories]
        return max(found or [self.rules[rule]], key=("error", "warning", "off").index)

    def judge(self, findings: Iterable[dict]) -> Iterator[dict]:
        """The findings that are not off, each with its severity: that of its `categories`, or waived with a reason."""
        for finding in findings:
            severity = self.of(finding["rule"], *finding.pop("categories", ()))
            if severity == "off":
                continue
            names = [(finding["rule"], finding.get(key)) for key in ("id", "origin")]
            waiver = next((name for name in names if name in self.waived), None)
            if waiver:
                self.used.add(waiver)
                yield {"severity": "waived"} | finding | {"reason": self.waived[waiver]}
            else:
                yield {"severity": severity} | finding

    def unused(self) -> Iterator[dict]:
        """A finding for each record of a waiver that has no finding to be waived; known when all are judged."""
        for rule, record in self.waived:
            if (rule, record) not in self.used:
                message = f"{rule} is waived for {record}, which has no such finding; expected a waiver that is needed"
                yield found_in("unused_waiver", "params.yaml", message)

    def looked_for(self) -> list[str]:
        """The rules that are not off everywhere, worst first."""
        return [rule for rule in RULES if any(self.of(rule, name) != "off" for name in (*self.categories, ""))]


def found_in(rule: str, file: str, message: str) -> dict:
    """A finding about a file as a whole."""
    return {"rule": rule, "file": file, "line": None, "id": None, "origin": None, "message": message}


class Summary:
    """Findings counted by severity and rule as they pass, with the first of each as an example."""

    def __init__(self):
        self.counts: Counter = Counter()
        self.first: dict[tuple[str, str], dict] = {}

    def watch(self, findings: Iterable[dict]) -> Iterator[dict]:
        """The findings as they come."""
        for finding in findings:
            key = finding["severity"], finding["rule"]
            self.counts[key] += 1
            self.first.setdefault(key, finding)
            yield finding

    def rows(self) -> list[dict]:
        """{"severity", "rule", "count", "example"}: errors before warnings before what is waived, the worst rule first."""
        keys = sorted(self.counts, key=lambda key: (SEVERITIES.index(key[0]), RULES.index(key[1])))
        return [{"severity": k[0], "rule": k[1], "count": self.counts[k], "example": self.first[k]} for k in keys]


def opener_findings(sample: list[dict], settings: dict, data: Path) -> list[dict]:
    """A finding for each category's training file in which too many answers open with the same three words."""
    found = []
    openers: dict[str, Counter] = {}
    for record in sample:
        if record["split"] == "train":
            opener = " ".join(words(parts_of(record["messages"])["answer"])[:3])
            openers.setdefault(record["category"], Counter())[opener] += 1
    for category, counts in openers.items():
        (opener, n), most = counts.most_common(1)[0], settings["opener_share"]
        if n > FEW and n / counts.total() > most:
            message = f"{n} of {counts.total()} sampled answers open with {opener!r}; expected {most:.0%} at most"
            file = (data / "train" / f"{category}.jsonl").as_posix()
            found.append(found_in("openers", file, message) | {"categories": [category]})
    return found


def budgets(params: dict, sizes: dict, tokens: dict) -> list[dict]:
    """A finding if the trained arms were given unequal numbers of tokens; sizes, tokens: {split: {category: number}}."""
    spent = {arm: budget(point, params, sizes, tokens) for arm, point in params["arms"].items() if point != "base"}
    least, most = min(spent.values(), default=0), max(spent.values(), default=0)
    if most == 0 or (most - least) / most <= params["audit"]["budget_gap"]:
        return []
    told = ", ".join(f"{arm} {round(number):,}" for arm, number in spent.items())
    expected = f"expected a difference of {params['audit']['budget_gap']:.0%} at most"
    return [found_in("budget", "params.yaml", f"tokens trained on: {told}; {expected}")]


def budget(point: str, params: dict, sizes: dict, tokens: dict) -> float:
    """Tokens that the steps on the way to a point train on: updates × batch × mean length of the step's data."""
    total = 0.0
    for step in path_to(point, params["curriculum"]):
        settings = params["train"] | params["curriculum"][step]
        total += settings["iters"] * settings["batch_size"] * _length(settings["data"], params, sizes, tokens)
    return total


def _length(data: str, params: dict, sizes: dict, tokens: dict) -> float:
    folder, name = data.split("/")
    weights = {name: 1.0} if folder == "train" else params["mixes"][name]
    examples = sum(weight * sizes["train"][category] for category, weight in weights.items())
    return sum(weight * tokens["train"][category] for category, weight in weights.items()) / max(examples, 1)
