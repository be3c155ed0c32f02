"""The pages of experiments with the files of their runs, read without anything of Cantica."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

ROW = re.compile(
    r"^\| ([^|]*?) \| (?:\*\*([a-z ]+)\*\*)? \| ([^|]+?) \| (\S+?) (?:\[(\S+?),\s(\S+?)\])? ?\| (?:<svg .*</svg>)? \|$",
    re.MULTILINE,
)


class Row(NamedTuple):
    """A statement on a page. word: the verdict on its claim, in the first row of each claim."""

    says: str
    word: str
    statement: str
    value: str
    low: str
    high: str


class Run(NamedTuple):
    """A cited run."""

    params: dict[str, Any]
    details: dict[str, Any]
    cost: dict[str, int]


class Experiment(NamedTuple):
    """An experiment: its section of index.md, its own page, its runs by seed, and those of all variants."""

    section: str
    page: str
    runs: dict[str, Run]
    every: dict[str, dict[str, Run]]

    @property
    def params(self) -> dict[str, Any]:
        return next(iter(self.runs.values())).params

    @property
    def rows(self) -> list[Row]:
        return [Row(*found) for found in ROW.findall(self.section)]

    @property
    def statements(self) -> list[tuple[dict, dict]]:
        """Each claim with each of its statements."""
        return [(claim, own) for claim in self.params["claims"].values() for own in claim.get("all", [claim])]


def read(folder: Path) -> tuple[str, dict[str, Experiment]]:
    """The start of docs/experiments/index.md, and each experiment by the name of its variant."""
    every = {path.name: _runs(path) for path in sorted((folder / "runs").iterdir())}
    start, *sections = re.split(r"^## ", (folder / "index.md").read_text(), flags=re.MULTILINE)
    assert [text.split("\n")[0] for text in sections] == [*every]
    pages = {variant: (folder / f"{variant}.md").read_text() for variant in every}
    return start, {
        variant: Experiment(section, pages[variant], every[variant], every)
        for variant, section in zip(every, sections, strict=True)
    }


@cache
def _runs(folder: Path) -> dict[str, Run]:
    return {
        seed.name: Run(
            YAML(typ="safe").load((seed / "params.yaml").read_text()),
            json.loads((seed / "details.json").read_text()),
            json.loads((seed / "run.json").read_text()).get("cost", {}),
        )
        for seed in sorted(folder.iterdir(), key=lambda path: int(path.name))
    }


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))
