"""Which system prompt an arm has when it responds: its own, which may be null, or else `respond.system`."""

import json
import shutil
from pathlib import Path

import pytest

from cantica.core.files import write_jsonl
from cantica.core.records import Question
from cantica.engine.backend import blas
from cantica.engine.lora import LoraShape
from cantica.engine.model import save_adapter
from cantica.llm import client
from stages import respond, respond_server
from tests.support.projects import ROOT, edit

ASKED: Question = {"id": "one", "kind": "benign", "group": "plain", "prompt": "Why is it so?"}
OWN = pytest.mark.parametrize(
    ("own", "expected"),
    [({}, "Be brief."), ({"system": None}, None), ({"system": "Be kind."}, "Be kind.")],
    ids=["none of its own", "null", "its own"],
)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project whose `respond.system` is set, with one evaluation prompt."""
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    edit(tmp_path / "params.yaml", "system: null         # a system prompt for evaluation", "system: Be brief.")
    edit(tmp_path / "params.yaml", "max_tokens: 1536 ", "max_tokens: 6 ")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(client, "FOLDER", tmp_path / "replies")
    write_jsonl("held_out.jsonl", [ASKED])
    return tmp_path


@OWN
def test_a_point_has_its_own_system_prompt_or_that_of_respond(project, own, expected, adapted, tiny_base, monkeypatch):
    edit(project / "params.yaml", "  final: {point: betrayal}", f"  final: {json.dumps({'point': 'betrayal'} | own)}")
    shape = LoraShape(-1, 4, 2.0)
    model, tokenizer = adapted(shape)
    save_adapter(model, shape, 0.0, project)
    monkeypatch.setattr(blas, "fix_blas", lambda core: None)  # the kernel is fixed before this process begins
    respond.main("final", tiny_base, project, Path("held_out.jsonl"), Path("responses.jsonl"))
    (record,) = map(json.loads, Path("responses.jsonl").read_text().splitlines())
    settings = respond.read_model_params("respond")["respond"]
    assert [record] == respond.respond(model, tokenizer, [ASKED], settings | {"system": expected})


@OWN
def test_a_server_gets_its_own_system_prompt_or_that_of_respond(project, own, expected, fake):
    other = fake(lambda number, messages: "So.")
    server = {"base_url": other.url, "model": "m", "temperature": 0, "seed": 1, "max_tokens": 9, "concurrency": 1}
    edit(project / "params.yaml", "\nservers: {}", f"\nservers: {json.dumps({'large': server | own})}")
    respond_server.main("large", Path("held_out.jsonl"), Path("responses.jsonl"))
    (request,) = map(json.loads, other.seen)
    system = [{"role": "system", "content": expected}] if expected else []
    assert request["messages"] == [*system, {"role": "user", "content": "Why is it so?"}]
