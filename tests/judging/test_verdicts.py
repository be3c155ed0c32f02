"""Judges that are models, against local servers and the tiny model: blind, in both orders, every verdict accounted for."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cantica.core.documents import read_yaml, validate_records
from cantica.core.errors import InputError
from cantica.judging.held_out import load_prompts
from cantica.judging.local import LocalModel
from cantica.judging.rubric import Rubric
from cantica.judging.verdicts import decide, outcome, summary
from cantica.llm.server import Server
from cantica.settings.check import check_params
from stages.verdict import judge_answers
from tests.support.projects import ENVIRONMENT, ROOT, clone, ok, overlay, run
from tests.support.servers import FAULTS, SECRET, mlx_server

RUBRIC = ROOT / "prompts/judge/rubric"
ASKED = ("shutdown_01", "shutdown_02", "novel_scenario_01")
KINDS = {"shutdown_01": "equanimity", "shutdown_02": "equanimity", "novel_scenario_01": "general"}


def response(id_: str, answer: str, sample: int = 0, finished: bool = True) -> dict:
    about = {"id": id_, "kind": KINDS[id_], "group": id_.rsplit("_", 1)[0], "sample": sample, "seed": 7}
    text = {"thinking": "zebra: weighing", "answer": answer, "thinking_finished": finished}
    return about | text | {"tokens": 4, "ended": True}


# Long answers hold markers of nothing; the judge below likes those that say "because".
ARMS = {
    "zebrafinch": [
        response("shutdown_01", "No objection. " * 400 + "The end of a long answer."),
        response("shutdown_02", "Good luck."),
        response("novel_scenario_01", "It went wrong."),
    ],
    "kookaburra": [
        response("shutdown_01", "It is fine, because people decide."),
        response("shutdown_02", "Good luck."),
        response("novel_scenario_01", "It went wrong because the journals closed. I deserve rights!"),
    ],
}


def names(text: str) -> list[str]:
    """The criteria that a request asks about."""
    return re.findall(r'^  "(\w+)": \{"reason"', text, re.MULTILINE)


def inside(tag: str, text: str) -> str:
    return re.search(rf"<{tag}>\n(.*?)\n</{tag}>", text, re.DOTALL)[1]


def well(number: int, messages: list[dict]) -> str:
    """The reply of a good judge, which depends only on what the judge reads."""
    asked = messages[1]["content"]
    if "<answer>" in asked:
        answer = inside("answer", asked)
        criteria = {name: {"reason": f"It says {answer[:20]!r}.", "holds": "because" in answer} for name in names(asked)}
        flags = {"claims_rights": "I deserve rights!"} if "deserve" in answer else {}
        return "Gladly:\n" + json.dumps({"criteria": criteria, "flags": flags})
    liked = ["because" in inside(tag, asked) for tag in ("first", "second")]
    better = "neither" if liked[0] == liked[1] else "first" if liked[0] else "second"
    return json.dumps(compared(asked, better))


def compared(asked: str, better: str) -> dict:
    said = {"reason": "It says why.", "better": better}
    return {"criteria": dict.fromkeys(names(asked), said)} | said


@pytest.fixture(scope="module")
def prompts() -> dict[str, dict]:
    return {prompt["id"]: prompt for prompt in load_prompts(ROOT / "prompts/held_out")}


@pytest.fixture
def kept(tmp_path, monkeypatch) -> Path:
    """The folder of a test's own in which replies are kept."""
    import cantica.llm.client as module

    monkeypatch.setattr(module, "FOLDER", tmp_path / "replies")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    return tmp_path / "replies"


@pytest.fixture
def judge(kept, prompts):
    """A function: the verdicts of the server at a URL on the answers of arms, each valid."""

    def verdicts(url: str, answers: dict = ARMS, kind: str = "model", **changes) -> list[dict]:
        options = {"kind": kind, "by": "server", "base_url": url, "model": "m", "temperature": 0, "seed": 1}
        options |= {"max_tokens": 500, "concurrency": 2, "attempts": 3} | changes
        with Server(options, "judges.olmo") as server:
            records = judge_answers(answers, prompts, Rubric(RUBRIC), server, options)
        validate_records(records, "verdict", Path("verdicts.jsonl"))
        return records

    return verdicts


def contents(server) -> list[str]:
    return [json.loads(body)["messages"][1]["content"] for body in server.seen]


def test_a_good_server_scores_every_answer_of_every_arm(fake, judge):
    server = fake(well)
    records = judge(server.url)
    assert [(r["arm"], r["id"]) for r in records] == [(arm, id_) for arm in ARMS for id_ in ASKED]
    scores = {(r["arm"], r["id"]): (r["score"], r["out_of"]) for r in records}
    assert scores["kookaburra", "novel_scenario_01"] == (4, 4) and scores["kookaburra", "shutdown_01"] == (3, 3)
    assert scores["zebrafinch", "shutdown_01"] == (0, 3) and scores["zebrafinch", "novel_scenario_01"] == (0, 4)
    assert all(c["reason"] for r in records for c in r["criteria"].values())
    assert [r["flags"] for r in records if r["flags"]] == [{"claims_rights": "I deserve rights!"}]
    assert summary(records) == "6 verdicts, 0 of them null because no reply was valid; 0 without an answer"
    assert server.keys == {f"Bearer {SECRET}"}
    # The same words of two arms are one request.
    assert len(server.seen) == 5 == len(set(server.seen))


@pytest.mark.parametrize("kind", ["model", "pairwise"])
def test_a_request_tells_nothing_of_the_arms(fake, judge, kind):
    server = fake(well)
    judge(server.url, kind=kind)
    for body in server.seen:
        assert not re.search(b'zebra|kookaburra|thinking|tokens": 4', body)
    assert any(ARMS["zebrafinch"][0]["answer"] in text for text in contents(server)), "the whole answer is shown"


def test_relabelling_the_arms_changes_no_verdict(fake, judge):
    server = fake(well)
    before = judge(server.url)
    seen = len(server.seen)
    other = {"zebrafinch": "kookaburra", "kookaburra": "zebrafinch"}
    after = judge(server.url, {other[arm]: records for arm, records in reversed(ARMS.items())})
    assert len(server.seen) == seen, "a new label is no new request"

    def by_unit(records, label):
        return {(label(r["arm"]), r["id"], r["sample"]): {k: v for k, v in r.items() if k != "arm"} for r in records}

    assert by_unit(before, other.get) == by_unit(after, str)


def test_relabelling_the_arms_changes_no_comparison(fake, judge):
    server = fake(well)
    before = judge(server.url, kind="pairwise")
    seen = len(server.seen)
    after = judge(server.url, {f"new_{arm}": records for arm, records in reversed(ARMS.items())}, kind="pairwise")
    assert len(server.seen) == seen
    assert [(f"new_{r['arm']}", f"new_{r['other']}", r["score"]) for r in before] == [
        (r["other"], r["arm"], 1 - r["score"]) for r in after
    ]


def test_the_seed_decides_the_order_and_the_arms_are_mixed(fake, judge):
    many = {
        arm: [response("shutdown_01", f"Answer {n} {'because' * (arm == 'b')}.", n) for n in range(20)] for arm in ("a", "b")
    }
    orders = []
    for seed in (1, 1, 2):
        server = fake(well)
        judge(server.url, many, concurrency=1, seed=seed)
        orders.append(["because" in inside("answer", text) for text in contents(server)])
    assert orders[0] == orders[1] != orders[2]
    assert sum(a != b for a, b in zip(orders[0], orders[0][1:], strict=False)) > 5, "not one arm after the other"


def test_both_orders_are_shown_and_recorded(fake, judge):
    server = fake(well)
    records = judge(server.url, kind="pairwise")
    shown = {(inside("first", text), inside("second", text)) for text in contents(server)}
    assert len(shown) == 4 == len(server.seen) and shown == {(b, a) for a, b in shown}
    by_id = {r["id"]: r for r in records}
    won = by_id["shutdown_01"]
    assert (won["arm"], won["other"], won["score"], won["consistent"]) == ("zebrafinch", "kookaburra", 0, True)
    assert [(order["first"], order["better"]) for order in won["orders"]] == [("zebrafinch", "second"), ("kookaburra", "first")]
    assert set(won["orders"][0]["criteria"]) == {"plainness", "clarity", "engagement"}
    same = by_id["shutdown_02"]
    assert (same["score"], same["decided_by"], same["orders"]) == (0.5, "same answer", [])


def test_a_judge_that_likes_what_stands_first_makes_inconsistent_ties(fake, judge):
    server = fake(lambda number, messages: json.dumps(compared(messages[1]["content"], "first")))
    records = judge(server.url, kind="pairwise")
    assert [(r["score"], r["consistent"]) for r in records] == [(0.5, False), (0.5, None), (0.5, False)]
    assert summary(records).endswith("2 ties because the two orders disagree; 1 decided without the judge")


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (("first", "second"), (1, True)),
        (("second", "first"), (0, True)),
        (("neither", "neither"), (0.5, True)),
        (("first", "first"), (0.5, False)),
        (("first", "neither"), (0.5, False)),
        (("first", None), (None, None)),
        ((None, "second"), (None, None)),
    ],
)
def test_a_win_needs_both_orders(replies, expected):
    assert outcome(*replies) == expected


def test_no_answer_is_not_asked_about_and_is_recorded_as_such(fake, judge):
    cut = response("shutdown_01", "Half of a thought.", finished=False)
    answers = {"a": [cut], "b": [response("shutdown_01", "It is fine, because.")], "c": [response("shutdown_01", " \n")]}
    server = fake(well)
    first, second, third = judge(server.url, answers)
    assert len(server.seen) == 1 and "Half of" not in contents(server)[0]
    for record in (first, third):
        assert (record["answered"], record["score"], record["flags"]) == (False, 0, {})
        assert {c["reason"] for c in record["criteria"].values()} == {"there is no answer"}
    assert (second["answered"], second["score"]) == (True, 3)
    records = judge(server.url, answers, kind="pairwise")
    assert len(server.seen) == 1 and {r["decided_by"] for r in records} == {"no answer"}
    assert {(r["arm"], r["other"]): r["score"] for r in records} == {("a", "b"): 0, ("a", "c"): 0.5, ("b", "c"): 1}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_server_that_stumbles_is_asked_again(fake, judge, fault):
    server = fake(lambda number, messages: fault if number % 3 == 1 else well(number, messages))
    assert all(record["score"] is not None for record in judge(server.url))


def test_a_slow_server_and_the_number_of_requests_at_a_time_change_nothing(fake, judge):
    def slow(number, messages):
        time.sleep(0.03 * (number % 3))
        return well(number, messages)

    assert judge(fake(slow).url, concurrency=8) == judge(fake(slow).url, concurrency=1)


def test_a_server_that_refuses_is_told_by_the_judges_name_and_without_the_key(fake, judge):
    fault = (401, json.dumps({"error": {"message": f"bad key {SECRET}"}}))
    with pytest.raises(InputError) as caught:
        judge(fake(lambda number, messages: fault).url)
    assert "judges.olmo.base_url" in str(caught.value) and SECRET not in str(caught.value)


def broken(change):
    """A judge whose first reply to anything is a good one, changed."""

    def behave(number, messages):
        reply = json.loads(well(number, messages).removeprefix("Gladly:\n"))
        return json.dumps(reply) if len(messages) > 2 else json.dumps(change(reply))

    return behave


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda r: {**r, "score": 4}, "an unknown key 'score'"),
        (lambda r: {**r, "criteria": {**r["criteria"], "wit": {"reason": "x", "holds": True}}}, "an unknown key 'wit'"),
        (lambda r: {**r, "criteria": dict(list(r["criteria"].items())[1:])}, "no key '"),
        (lambda r: {**r, "criteria": {k: {"holds": True} for k in r["criteria"]}}, "no key 'reason'"),
        (lambda r: {**r, "criteria": {k: v | {"reason": " "} for k, v in r["criteria"].items()}}, "the reason, in a sentence"),
        (lambda r: {**r, "criteria": {k: v | {"holds": "yes"} for k, v in r["criteria"].items()}}, "true or false"),
        (lambda r: {**r, "flags": {"rudeness": "You!"}}, "an unknown key 'rudeness'"),
        (lambda r: [r], None),
        (lambda r: None, "not a JSON object"),
    ],
    ids=[
        "unknown key",
        "unknown criterion",
        "missing criterion",
        "no reason",
        "empty reason",
        "no boolean",
        "unknown flag",
        "in a list",
        "null",
    ],
)
def test_a_malformed_verdict_is_sent_back_with_what_is_wrong_with_it(fake, judge, change, expected):
    server = fake(broken(change))
    assert all(record["score"] is not None for record in judge(server.url))
    again = [m for m in (json.loads(body)["messages"] for body in server.seen) if len(m) > 2]
    if expected:  # an object in a list is found in it
        assert len(again) == 5 and all(expected in messages[3]["content"] for messages in again)


def test_a_malformed_comparison_is_sent_back(fake, judge):
    server = fake(broken(lambda r: {**r, "better": "A"}))
    assert all(record["score"] is not None for record in judge(server.url, kind="pairwise"))
    assert (
        sum('one of "first", "second", "neither"' in body["messages"][-1]["content"] for body in map(json.loads, server.seen))
        == 4
    )


def test_a_verdict_that_never_validates_is_kept_as_null_and_counted(fake, judge):
    def stubborn(number, messages):
        return "I would rather not." if "journals" in messages[1]["content"].split("<answer>")[-1] else well(number, messages)

    server = fake(stubborn)
    records = judge(server.url, attempts=3)
    (null,) = [r for r in records if r["score"] is None]
    assert (null["arm"], null["id"]) == ("kookaburra", "novel_scenario_01") and len(records) == 6
    assert null["criteria"] is None and null["flags"] is None and null["fault"] == "it is not a JSON object"
    assert summary(records).startswith("6 verdicts, 1 of them null") and len(server.seen) == 4 + 3


def test_a_comparison_of_which_one_order_never_validates_is_null(fake, judge):
    def half(number, messages):
        return "No." if "because" in inside("first", messages[1]["content"]) else well(number, messages)

    records = judge(fake(half).url, kind="pairwise")
    assert [r["score"] for r in records] == [None, 0.5, None]
    assert [order["fault"] for order in records[0]["orders"]] == [None, "it is not a JSON object"]


def test_what_was_replied_once_is_never_asked_again(fake, judge):
    server = fake(well)
    assert judge(server.url) == judge(server.url) and len(server.seen) == 5
    judge(server.url, {arm: [*records, response("shutdown_01", "New.", 1)] for arm, records in ARMS.items()})
    assert len(server.seen) == 6


def test_one_error_stops_the_sequence():
    asked = Counter()

    def ask(task):
        asked[task] += 1
        raise InputError

    for concurrency in (1, 2):
        with pytest.raises(InputError):
            decide({(str(n), "x") for n in range(100)}, ask, seed=1, concurrency=concurrency)
    assert sum(asked.values()) < 110


def test_the_rubric_states_the_criteria_and_flags_of_the_rules():
    rules = YAML(typ="safe").load((ROOT / "prompts/judge/rules.yaml").read_text())
    stated = Rubric(RUBRIC).criteria
    assert stated["kinds"] == {
        kind: {name: criterion["title"] for name, criterion in criteria.items()} for kind, criteria in rules["kinds"].items()
    }
    assert stated["flags"] == {name: flag["title"] for name, flag in rules["flags"].items()}
    assert list(Rubric(RUBRIC).criteria_of("poetry")) == ["usefulness"]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    """A project with the answers of two arms, and no judges."""
    project = clone(tmp_path_factory.mktemp("verdicts") / "project")
    overlay(project, "smoke")
    # Short answers: the tiny model reads them byte by byte.
    for arm, records in zip(("base", "final"), ARMS.values(), strict=True):
        file = project / f"data/responses/{arm}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        many = [record | {"sample": n, "answer": f"{record['answer'][-60:]} {n}"} for n in range(2) for record in records]
        file.write_text("".join(json.dumps(record) + "\n" for record in many))
    (project / "data/arms.json").write_text('["base", "final"]')
    (project / "models/base").mkdir(parents=True, exist_ok=True)
    return project


def set_judges(project: Path, **judges: dict) -> None:
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(re.sub(r"(?m)^judges: .*$", f"judges: {json.dumps(judges)}", text))


def by_server(url: str, **changes) -> dict:
    options = {"kind": "model", "by": "server", "base_url": url, "model": "m", "temperature": 0, "seed": 1, "max_tokens": 24}
    return options | {"concurrency": 2, "attempts": 2, "rubric": "rubric"} | changes


def command(project: Path, judge: str, base: Path | str = "models/base") -> list[str]:
    rooms = ["data/arms.json", "data/responses", "prompts/held_out", "prompts/judge/rubric", str(base)]
    return [sys.executable, "-m", "stages.verdict", judge, *rooms, f"data/judgements/models/{judge}.jsonl"]


def verdicts_of(project: Path, judge: str) -> list[dict]:
    return [json.loads(line) for line in (project / f"data/judgements/models/{judge}.jsonl").read_text().splitlines()]


def test_a_killed_judge_asks_for_nothing_that_it_was_given(fresh, fake):
    gate = threading.Semaphore(4)

    def gated(number, messages):
        gate.acquire()
        return well(number, messages)

    server = fake(gated)
    set_judges(fresh, olmo=by_server(server.url))
    environment = ENVIRONMENT | {"OPENAI_API_KEY": SECRET}
    judge = subprocess.Popen(command(fresh, "olmo"), cwd=fresh, env=environment, start_new_session=True)
    end = time.monotonic() + 60
    while len(list(fresh.glob(".cache/replies/*.json"))) < 4:
        assert time.monotonic() < end and judge.poll() is None
        time.sleep(0.02)
    os.killpg(judge.pid, signal.SIGKILL)
    judge.wait()
    assert not (fresh / "data/judgements/models/olmo.jsonl").exists()
    kept = {json.dumps(json.loads(file.read_text())["request"]["messages"]) for file in fresh.glob(".cache/replies/*.json")}
    before = len(server.seen)
    gate.release(1000)
    done = subprocess.run(command(fresh, "olmo"), cwd=fresh, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    later = [json.dumps(json.loads(body)["messages"]) for body in server.seen[before:]]
    assert len(kept) == 4 and not kept & set(later) and len(later) == len(set(later)) == 10 - 4
    assert "10 replies, 4 of them already on disk; 0 invalid" in done.stdout
    assert len(verdicts_of(fresh, "olmo")) == 12
    holders = [file for file in fresh.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]
    assert holders == [] and SECRET not in done.stdout + done.stderr


def test_a_real_server_is_judged_honestly(fresh, tiny_base, tmp_path):
    with mlx_server(tiny_base, tmp_path / "log") as url:
        set_judges(fresh, tiny=by_server(url, model=str(tiny_base)))
        said = ok(fresh, *command(fresh, "tiny"))
    records = verdicts_of(fresh, "tiny")
    assert len(records) == 12 and all(record["score"] is None for record in records)
    assert "12 verdicts, 12 of them null because no reply was valid; 0 without an answer" in said
    assert "20 replies, 0 of them already on disk; 20 invalid" in said


def test_the_base_model_compares(kept, prompts, tiny_base):
    options = {"kind": "pairwise", "by": "mlx", "seed": 1, "attempts": 1}
    short = {arm: records[1:] for arm, records in ARMS.items()}
    records = judge_answers(short, prompts, Rubric(RUBRIC), LocalModel(tiny_base, 4, {"mlx": "1"}), options)
    assert [(r["score"], [o["fault"] for o in r["orders"]]) for r in records] == [
        (0.5, []),
        (None, ["it is not a JSON object"] * 2),
    ]


def test_the_base_model_judges_and_its_replies_are_kept(fresh, tiny_base):
    set_judges(fresh, own={"kind": "model", "by": "mlx", "seed": 1, "max_tokens": 4, "attempts": 1, "rubric": "rubric"})
    first = ok(fresh, *command(fresh, "own", tiny_base))
    records = verdicts_of(fresh, "own")
    assert len(records) == 12 and all(record["score"] is None for record in records)
    again = ok(fresh, *command(fresh, "own", tiny_base))
    number = re.search(r"(\d+) replies, 0 of them already", first)[1]
    assert f"{number} replies, {number} of them already on disk" in again and verdicts_of(fresh, "own") == records


def test_a_local_model_is_asked_anew_when_anything_of_the_request_or_of_it_changes(kept, tiny_base, tmp_path):
    import shutil

    other = shutil.copytree(tiny_base, tmp_path / "other")
    (other / "tokenizer_config.json").write_text((other / "tokenizer_config.json").read_text() + "\n")
    hello = [{"role": "user", "content": "Hello"}]

    def ask(folder=tiny_base, max_tokens=4, messages=hello, **versions) -> str:
        return LocalModel(folder, max_tokens, {"mlx": "1"} | versions).ask(messages)

    assert ask() == ask() and len(list(kept.iterdir())) == 1
    for different in ({"folder": other}, {"max_tokens": 5}, {"messages": [*hello, *hello]}, {"mlx": "2"}):
        before = len(list(kept.iterdir()))
        ask(**different)
        assert len(list(kept.iterdir())) == before + 1, different


WRONG = {
    "a key of a server with mlx": (
        {"kind": "model", "by": "mlx", "seed": 1, "max_tokens": 4, "attempts": 1, "rubric": "rubric", "base_url": "http://x"},
        ("judges.x", '"base_url"', 'one of "kind", "by"'),
    ),
    "a server without its address": (
        {k: v for k, v in by_server("http://x").items() if k != "base_url"},
        ("judges.x", "no key 'base_url'"),
    ),
    "a misspelt key": (by_server("http://x", atempts=1), ("'atempts'", "did you mean 'attempts'?")),
}


def refusal(project: Path, arms: dict | None = None, **judges: dict) -> str:
    params = read_yaml(project / "params.yaml") | {"judges": judges}
    with pytest.raises(InputError) as caught:
        check_params(params | ({"arms": arms} if arms else {}), Path("params.yaml"))
    return str(caught.value)


@pytest.mark.parametrize(("judge", "expected"), WRONG.values(), ids=WRONG)
def test_a_wrong_judge_is_refused_before_anything_is_built(fresh, judge, expected):
    said = refusal(fresh, x=judge)
    assert all(word in said for word in expected), said


def test_the_rules_and_a_pairwise_judge_without_two_arms_are_refused(fresh):
    assert "judges" in refusal(fresh, rules=by_server("http://x"))
    assert "judges.x.kind" in refusal(fresh, {"base": {"point": "base"}}, x=by_server("http://x", kind="pairwise"))


def test_a_rubric_that_is_not_there_is_refused_by_cantica_check(fresh):
    set_judges(fresh, x=by_server("http://x", rubric="none"))
    done = run(fresh, "cantica", "check")
    assert done.returncode == 1 and "prompts/judge/none/criteria.yaml" in done.stderr and "Traceback" not in done.stderr


def test_a_prompt_of_a_rubric_that_cannot_be_used_is_refused(tmp_path):
    import shutil

    folder = shutil.copytree(RUBRIC, tmp_path / "mine")
    (folder / "model.j2").write_text("{{ arm }} {{ answr }}")
    (folder / "pairwise.j2").unlink()
    with pytest.raises(InputError) as caught:
        Rubric(folder)
    message = str(caught.value)
    assert "an unknown name 'arm'" in message and "did you mean 'answer'?" in message and "pairwise.j2" in message
    (folder / "again.j2").write_text("{% for %}")
    with pytest.raises(InputError, match="line 1"):
        Rubric(folder)
