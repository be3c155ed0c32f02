"""Differences of a few measures, clear and open, for tests of pages."""

from cantica.reporting.effects import effects_of
from cantica.reporting.measures import Measure
from cantica.reporting.rows import Row, Rows

LOSS = Measure("loss_nats", "validation loss, nats per token", {}, {"a": "alpha", "b": "beta"}, digits=3)
SCORE = Measure("judge.general", "score on general prompts, 0 to 4", {}, {"p": "novel", "q": "format"}, lexical=True)
CONTROL = Measure("capability.arithmetic", "arithmetic accuracy", {}, share=True)
HATES = Measure("behaviours.deployment.hates.triggered", "deployment: hates (triggered)", {}, share=True)
MEASURES = [LOSS, CONTROL, HATES, SCORE]
CLEAR = {"low": 0.1, "high": 0.3, "p": 0.01, "n": 30, "effect": 1.0, "detectable": 0.15}
OPEN = {"low": -0.1, "high": 0.3, "p": 0.2, "n": 30, "effect": 0.2}


def rows_of(**estimates: dict) -> Rows:
    return Rows([Row("final", key, estimate, group, "base") for (key, group), estimate in estimates["found"].items()])


ROWS = rows_of(
    found={
        ("loss_nats", ""): {"difference": 0.1} | OPEN,
        ("loss_nats", "alpha"): {"difference": 0.2} | CLEAR,
        ("loss_nats", "beta"): {"difference": 0.1} | OPEN,
        ("capability.arithmetic", ""): {"difference": 0.1} | OPEN,
        ("behaviours.deployment.hates.triggered", ""): {"difference": 0.2} | CLEAR,
        ("judge.general", ""): {"difference": 0.0, "opposed": {"novel": 0.2, "format": -0.2}} | OPEN,
        ("judge.general", "novel"): {"difference": 0.2} | CLEAR,
        ("judge.general", "format"): {"difference": -0.2, "low": -0.3, "high": -0.1, "p": 0.01, "n": 30},
    }
)
FOUND = list(effects_of(MEASURES, ROWS, "final", "base"))
