"""The rubric of a language model as judge: the criteria and prompts in a folder under `prompts/judge/`."""

import json
from pathlib import Path
from typing import Any

from jinja2 import meta

from cantica.core.documents import Validator, raise_any, read_yaml, validate, validator, validator_of
from cantica.core.errors import Problem, did_you_mean
from cantica.judging.held_out import EvaluationPrompt
from cantica.llm.prompts import Prompts

# The prompts of a rubric, each with the variables that it may use. No variable identifies an arm.
ABOUT = ("prompt", "evaluates", "criteria", "flags")
NAMES = {"system": (), "model": (*ABOUT, "answer"), "pairwise": (*ABOUT, "first", "second"), "again": ("faults",)}


class Rubric:
    """The rubric in a folder. Raises InputError if criteria are invalid, a prompt is missing or it uses an unknown variable."""

    def __init__(self, folder: Path):
        self.criteria = read_yaml(folder / "criteria.yaml")
        validate(self.criteria, "rubric", folder / "criteria.yaml")
        self.prompts = Prompts(folder)
        raise_any(_prompt_faults(self.prompts, folder))

    def criteria_of(self, kind: str) -> dict[str, str]:
        """Return the criteria for evaluation prompts of a kind: {name: question}."""
        return self.criteria["kinds"].get(kind, self.criteria["other"])

    def request(self, prompt: EvaluationPrompt, *answers: str) -> str:
        """Return the request to judge one answer to an evaluation prompt, or to compare two in the order given."""
        about: dict[str, Any] = {"prompt": prompt["prompt"], "evaluates": prompt["evaluates"]}
        about |= {"criteria": self.criteria_of(prompt["kind"]), "flags": self.criteria["flags"]}
        if len(answers) == 1:
            return self.prompts.text("model", **about, answer=answers[0])
        return self.prompts.text("pairwise", **about, first=answers[0], second=answers[1])

    def check(self, kind: str, number: int) -> Validator:
        """Return a validator of replies about one or two answers: all criteria are required, only known flags are allowed."""
        base = (validator("verdict_model") if number == 1 else validator("verdict_pairwise")).schema
        schema = json.loads(json.dumps(base))
        criteria = list(self.criteria_of(kind))
        closed = {name: {"$ref": "#/$defs/criterion"} for name in criteria}
        schema["properties"]["criteria"] |= {"properties": closed, "required": criteria, "additionalProperties": False}
        if "flags" in schema["properties"]:
            closed = {name: {"$ref": "#/$defs/flag"} for name in self.criteria["flags"]}
            schema["properties"]["flags"] |= {"properties": closed, "additionalProperties": False}
        return validator_of(schema)


def _prompt_faults(prompts: Prompts, folder: Path) -> list[Problem]:
    problems = []
    for name, known in NAMES.items():
        file = str(folder / f"{name}.j2")
        if name not in prompts.sources:
            problems.append(Problem(file, "", "no such file", "a prompt"))
            continue
        used = meta.find_undeclared_variables(prompts.environment.parse(prompts.sources[name]))
        for unknown in sorted(used - set(known) - set(prompts.environment.globals)):
            expected = f"one of {', '.join(known)}" if known else "no variables: this prompt is the same in every request"
            problems.append(Problem(file, "", f"an unknown name {unknown!r}", expected, did_you_mean(unknown, known)))
    return problems
