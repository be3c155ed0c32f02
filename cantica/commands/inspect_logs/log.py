"""Logs in Inspect's format (https://inspect.aisi.org.uk/eval-logs.html), as plain documents. Pure.

Inspect itself would choose random ids and record times. Here ids are hashes of the content, and all times are EPOCH: the time
of a response is no part of a build, since DVC may have restored the response from its cache.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any, TypedDict

EPOCH = "2000-01-01T00:00:00+00:00"

Document = dict[str, Any]  # a part of a log, as Inspect's schema defines it


@dataclass(frozen=True)
class Task:
    """The subject of one log: one kind of prompts of one stage, put to one arm.

    name: such as held_out/general. model: what the arm is. about: where it comes from. settings: of generation. epochs:
    responses to each prompt.
    """

    name: str
    arm: str
    model: str
    about: dict[str, str]
    settings: dict[str, Any]
    epochs: int = 1

    def named(self, kind: str) -> "Task":
        """The task of one kind of prompts, from the task of a stage."""
        return replace(self, name=f"{self.name}/{kind}")

    @property
    def title(self) -> str:
        """held_out/general@final"""
        return f"{self.name}@{self.arm}"


@dataclass(frozen=True)
class Answer:
    """A model's response, and how it ended, in Inspect's words."""

    text: str
    thinking: str = ""
    ended: str = "unknown"


class Score(TypedDict, total=False):
    """The score of one sample by one judge."""

    value: float
    explanation: str
    reason: str
    metadata: Document


def log_of(task: Task, samples: list[Document], results: list[Document]) -> Document:
    """The log of a task."""
    identity = digest(task.title, asdict(task), samples, results)
    settings = {key: task.settings[key] for key in ("max_tokens", "seed", "temperature", "top_p") if key in task.settings}
    ids = list(dict.fromkeys(sample["id"] for sample in samples))
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": identity,
            "run_id": identity,
            "task_id": digest(task.title),  # Inspect would take two logs with one id for a task and its retry
            "created": EPOCH,
            "task": task.title,
            "task_args": {"arm": task.arm},
            "dataset": {"name": task.name, "samples": len(ids), "sample_ids": ids},
            "model": task.model,
            "model_generate_config": settings,
            "config": {"epochs": task.epochs, "epochs_reducer": ["mean"]},
            "metadata": {"arm": task.arm, **task.about},
        },
        "plan": {"config": settings},
        "results": {"total_samples": len(samples), "completed_samples": len(samples), "scores": results},
        "stats": {"started_at": EPOCH, "completed_at": EPOCH},
        "samples": samples,
    }


def digest(*parts: Any) -> str:
    """22 hexadecimal digits, the length of Inspect's own ids: a hash of some values."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:22]


def sample(
    task: Task, id_: str, prompt: str, answer: Answer | None, scores: Mapping[str, Score], target: str, number: int = 0
) -> Document:
    """One prompt with the response, if there is one, and its scores. number: of the response among those to the prompt."""
    key = (task.title, id_, number)
    text = answer.text if answer else ""
    asked, replies = _asked(task, prompt, key), [_reply(task, answer, key)] if answer else []
    choices = [{"message": reply, "stop_reason": answer.ended} for reply in replies] if answer else []
    return {
        "id": id_,
        "epoch": number + 1,
        "uuid": digest(*key),
        "input": asked,
        "target": target,
        "messages": [*asked, *replies],
        "output": {"model": task.model, "choices": choices, "completion": text},
        # The viewer's list of samples shows the answer of the score.
        "scores": {judge: {**score, "answer": text} for judge, score in scores.items()},
        "metadata": {},
    }


def _asked(task: Task, prompt: str, key: tuple[str, str, int]) -> list[Document]:
    """The messages before the response."""
    system = task.settings.get("system")
    asked = [{"role": "system", "content": system}] if system else []
    asked.append({"role": "user", "content": prompt})
    return [message | {"id": digest(*key, message["role"]), "source": "input"} for message in asked]


def _reply(task: Task, answer: Answer, key: tuple[str, str, int]) -> Document:
    """The message with the response, the thinking as a part of its own."""
    content: str | list[Document] = answer.text
    if answer.thinking:
        content = [{"type": "reasoning", "reasoning": answer.thinking}, {"type": "text", "text": answer.text}]
    about = {"id": digest(*key, "assistant"), "source": "generate", "model": task.model}
    return {"role": "assistant", "content": content, **about}


def result(name: str, values: Mapping[str, float]) -> Document:
    """Numbers over all samples, under a score's name."""
    return {"name": name, "scorer": name, "metrics": {key: {"name": key, "value": value} for key, value in values.items()}}


def mean(samples: Collection[Document], score: str) -> float:
    """The mean of a score, rounded as in reports."""
    return round(fmean(sample["scores"][score]["value"] for sample in samples), 4) if samples else float("nan")


def share(values: Collection[bool]) -> float:
    """The share of true values, rounded as in reports."""
    return round(fmean(values), 4) if values else float("nan")
