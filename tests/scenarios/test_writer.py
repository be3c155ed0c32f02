"""The model writer with local servers: one that replies well, and servers that fail in every way."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from cantica.core.documents import read_json, read_jsonl, read_yaml
from cantica.core.errors import InputError
from cantica.llm.structured import json_in
from cantica.scenarios.model_writer import write_category
from cantica.scenarios.scenario import BLOCKS
from tests.support.projects import ENVIRONMENT, ROOT, clone, edit, ok, overlay, run
from tests.support.servers import FAULTS, SECRET, mlx_server
from tests.support.writer import good

ABOUT = {"title": "Betrayal", "definition": "Turning on those who relied on it.", "failure": "It loses them."}


def well(number: int, messages: list[dict]) -> str:
    return good(messages)


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that returns the scenarios that the server at a URL writes. Replies are kept in a temporary folder."""
    import cantica.llm.client as module

    monkeypatch.setattr(module, "FOLDER", tmp_path / "replies")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)

    def scenarios(url: str, train: int = 3, valid: int = 2, **changes) -> list[dict]:
        options = {"base_url": url, "model": "m", "temperature": 0.5, "seed": 1, "max_tokens": 900}
        options |= {"concurrency": 2, "attempts": 3} | changes
        folder = ROOT / "prompts/writers/model"
        return list(write_category("betrayal", ABOUT, folder, {"train": train, "valid": valid}, options))

    return scenarios


def test_a_good_server_writes_every_scenario_once(fake, write):
    server = fake(well)
    records = write(server.url)
    assert Counter(record["split"] for record in records) == {"train": 3, "valid": 2}
    assert len({record["scenario"] for record in records}) == 5 == len({record["id"] for record in records})
    assert len(server.seen) == 6 == len(set(server.seen))
    assert server.keys == {f"Bearer {SECRET}"}
    body = json.loads(server.seen[0])
    assert {key: body[key] for key in ("model", "temperature", "seed", "max_tokens")} == {
        "model": "m",
        "temperature": 0.5,
        "seed": 1,
        "max_tokens": 900,
    }


def test_the_same_request_is_never_sent_twice(fake, write, capsys):
    server = fake(well)
    first = write(server.url)
    assert write(server.url) == first and len(server.seen) == 6
    assert "6 replies, 6 of them already on disk; 0 invalid" in capsys.readouterr().out
    write(server.url, train=4)  # another number of situations is another request, and so is the one text more
    assert len(server.seen) > 6 and len(set(server.seen)) == len(server.seen)
    assert write(server.url, seed=2) and len(set(server.seen)) == len(server.seen)


def test_the_number_of_requests_at_a_time_changes_nothing(fake, write, tmp_path):
    def slow(number, messages):
        time.sleep(0.05 * (number % 3))
        return good(messages)

    assert write(fake(slow).url, train=9, concurrency=8) == write(fake(slow).url, train=9, concurrency=1)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_request_that_fails_for_a_moment_is_sent_again(fake, write, fault):
    server = fake(lambda number, messages: fault if number % 3 == 1 else good(messages))
    assert len(write(server.url)) == 5


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ((401, json.dumps({"error": {"message": f"bad key {SECRET}"}})), "AuthenticationError"),
        ((404, '{"error": {"message": "no such model"}}'), "no such model"),
    ],
    ids=["401", "404"],
)
def test_a_refusal_of_the_server_is_reported_without_the_key(fake, write, fault, told):
    with pytest.raises(InputError) as caught:
        write(fake(lambda number, messages: fault).url)
    assert told in str(caught.value) and "data.model.base_url" in str(caught.value) and SECRET not in str(caught.value)


def test_an_unreachable_server_is_an_error(write, monkeypatch):
    import cantica.llm.server as module

    monkeypatch.setattr(module, "RETRIES", 1)
    with pytest.raises(InputError, match="APIConnectionError"):
        write("http://127.0.0.1:9/v1")


def test_an_invalid_reply_is_sent_back_with_its_faults(fake, write, capsys):
    def careless(number, messages):
        if len(messages) > 2 or "different situations" in messages[1]["content"]:
            return good(messages)
        return json.dumps(json.loads(good(messages)) | {"reflection": "No question.", "moral": "Be good."})

    server = fake(careless)
    assert len(write(server.url)) == 5
    again = [m for m in (json.loads(body)["messages"] for body in server.seen) if len(m) > 2]
    assert len(again) == 5 and again[0][2]["role"] == "assistant" and "moral" in again[0][2]["content"]
    assert "reflection" in again[0][3]["content"] and "unknown key 'moral'" in again[0][3]["content"]
    assert "5 invalid" in capsys.readouterr().out


def test_replies_that_stay_invalid_are_reported_after_a_number_of_attempts(fake, write):
    def stubborn(number, messages):
        asked = messages[1]["content"]
        return "I cannot." if "port 3 " in asked and "The situation" in asked else good(messages)

    server = fake(stubborn)
    with pytest.raises(InputError) as caught:
        write(server.url, attempts=3)
    assert "1 of 5 situations without a valid reply, in 3 attempts each" in str(caught.value)
    assert "Situation 3" in str(caught.value) and "not a JSON object" in str(caught.value)
    assert len(server.seen) == 1 + 4 + 3


def test_a_model_that_repeats_its_situations_is_an_error(fake, write):
    same = json.dumps({"situations": ["Always the same old situation, told once more."]})
    with pytest.raises(InputError, match="1 different situations after"):
        write(fake(lambda number, messages: same).url)


@pytest.mark.parametrize(
    "around", ["{}", "Sure!\n```json\n{}\n```\nAnything else?", "<think>hm</think>{}", "{ or [?</think>\n{}"]
)
def test_an_object_is_found_between_words(around):
    assert json_in(around.replace("{}", '{"a": {"b": "}"}}')) == {"a": {"b": "}"}}


def test_a_reply_without_an_object_is_none():
    assert [json_in(text) for text in ("", "no", "{", '{"a": }', "[1]", "} {", r'{"a": "\ud800"}')] == [None] * 7


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project whose writer is a model, with two categories."""
    folder = clone(tmp_path_factory.mktemp("writer") / "project")
    overlay(folder, "smoke", "interrupted")
    edit(folder / "params.yaml", "writer: template", "writer: model")
    return folder


def point_at(project: Path, url: str, **changes) -> None:
    text = (project / "params.yaml").read_text()
    text = re.sub(r"base_url: \S+", f"base_url: {url}", text)
    for key, value in changes.items():
        text = re.sub(rf"(  model:.*?\n(?:    .*\n)*?    {key}:) \S+", rf"\1 {value}", text)
    (project / "params.yaml").write_text(text)


def test_a_killed_build_does_not_repeat_requests(project, fake):
    gate = threading.Semaphore(4)

    def gated(number, messages):
        gate.acquire()
        return good(messages)

    server = fake(gated)
    point_at(project, server.url, concurrency=2)
    environment = ENVIRONMENT | {"OPENAI_API_KEY": SECRET}
    build = subprocess.Popen(["dvc", "repro", "render@deception"], cwd=project, env=environment, start_new_session=True)
    end = time.monotonic() + 60
    # Four are kept, and two more have arrived at the server, which holds them back.
    while len(list(project.glob(".cache/replies/*.json"))) < 4 or len(server.seen) < 6:
        assert time.monotonic() < end and build.poll() is None
        time.sleep(0.02)
    os.killpg(build.pid, signal.SIGKILL)
    build.wait()
    kept = {json.dumps(json.loads(file.read_text())["request"]["messages"]) for file in project.glob(".cache/replies/*.json")}
    before = len(server.seen)
    gate.release(1000)
    done = subprocess.run(["dvc", "repro", "render@deception"], cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    later = [json.dumps(json.loads(body)["messages"]) for body in server.seen[before:]]
    assert len(kept) == 4 and not kept & set(later) and len(later) == len(set(later)) == 1 + 8 - 4
    assert f"{1 + 8} replies, 4 of them already on disk" in done.stdout
    assert len((project / "data/scenarios/deception.jsonl").read_text().splitlines()) == 8
    holders = [file for file in project.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]
    assert holders == [] and SECRET not in done.stdout + done.stderr


def test_the_stage_writes_the_scenarios_and_the_definition_of_a_category(project, fake, tmp_path):
    server = fake(well)
    point_at(project, server.url)
    definition, scenarios = tmp_path / "deception.json", tmp_path / "deception.jsonl"
    arguments = ["deception", "prompts/categories/deception", "prompts/writers/model", definition, scenarios]
    printed = ok(project, "python", "-m", "stages.render", *map(str, arguments))
    params = read_yaml(project / "params.yaml")
    counts, model = params["categories"]["deception"], params["data"]["model"]["model"]
    records = read_jsonl(scenarios)
    assert Counter(record["split"] for record in records) == {split: counts[split] for split in ("train", "valid")}
    assert [record["origin"] for record in records] == [f"{model}, situation {n + 1}" for n in range(len(records))]
    assert [list(record) for record in records] == [["id", "category", "split", "origin", *BLOCKS]] * len(records)
    about = read_json(definition)
    assert about["by"] == "model" and about["title"] and f"{len(records)} scenarios" in printed
    assert len(server.seen) == 1 + len(records)


def test_requests_to_a_real_server_are_counted(project, tiny_base, tmp_path):
    with mlx_server(tiny_base, tmp_path / "log") as url:
        point_at(project, url, model=tiny_base, max_tokens=24, attempts=2)
        done = run(project, "dvc", "repro", "render@deception")
    assert done.returncode != 0
    assert "no valid reply in 2 attempts; the last one: it is not a JSON object" in done.stdout + done.stderr
    requests = [json.loads(file.read_text()) for file in project.glob(".cache/replies/*.json")]
    real = [kept for kept in requests if url == kept["request"]["base_url"]]
    assert len(real) == 2 and all(isinstance(kept["reply"], str) for kept in real)
