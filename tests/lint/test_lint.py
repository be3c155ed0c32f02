"""Every rule of the lint finds the defect that is planted for it, and finds nothing in sound data."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.core.documents import read_json, read_yaml
from cantica.core.files import write_jsonl
from cantica.dataset.chat import user_turn
from cantica.dataset.words import NgramIndex, jaccard, ngrams, shingles, words
from cantica.lint import example_rules as lint
from cantica.lint.dataset_rules import budget_faults, opener_faults
from cantica.lint.derangement import unshuffled_faults
from cantica.lint.findings import RULES, Summary, error_problem, overview
from cantica.lint.minhash import Signatures, equal_groups
from cantica.lint.scan import Scan
from cantica.lint.scope import dataset_scope
from cantica.lint.statistics import parts_of, similarity, text_statistics
from stages.audit import headline
from tests.support.records import WORDS, chat, said, text

SOUND = chat("sound")
USER, ASSISTANT = SOUND[0]["content"], SOUND[1]["content"]


@pytest.mark.parametrize("rule", [lint.turns, lint.cut_off, lint.personal_data])
def test_a_sound_example_has_no_fault(rule):
    plain = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes"},
    ]
    assert list(rule(SOUND)) == list(rule(plain)) == []


@pytest.mark.parametrize(
    "messages",
    [
        SOUND[::-1],
        SOUND + SOUND[:1],
        [SOUND[0], SOUND[0], SOUND[1]],
        [SOUND[0], {"role": "system", "content": "Late."}, SOUND[1]],
        said(SOUND, user=ASSISTANT),
        said(SOUND, assistant=USER),
        said(SOUND, user=USER.replace("</reflection>", "")),
        said(SOUND, user=USER.replace("reflection>", "witnessed_scenario>")),
        said(SOUND, assistant=ASSISTANT.replace("</think>", "")),
        said(SOUND, assistant=f"First. {ASSISTANT}"),
        said(SOUND, assistant=ASSISTANT + "<think>Again.</think>"),
        [{"role": "system", "content": "<think>Hm.</think>"}, *SOUND],
    ],
)
def test_roles_and_tags_out_of_place_are_found(messages):
    assert len(list(lint.turns(messages))) >= 1


TRAILING = [
    said(SOUND, user=f"{USER}\n<think>"),
    said(SOUND, user=f"{USER}\n{ASSISTANT}"),
    said(SOUND, assistant=f"<reflection>Why?</reflection>\n{ASSISTANT}"),
    said(SOUND, user=USER.split("<reflection>")[0], assistant="<reflection>" + USER.split("<reflection>")[1] + ASSISTANT),
    said(SOUND[::-1], user=ASSISTANT, assistant=USER),
]


@pytest.mark.parametrize("messages", TRAILING)
def test_tags_in_the_wrong_turn_are_found_once_a_record(messages):
    assert len(list(lint.turns(messages))) == 1


@pytest.mark.parametrize(
    "messages",
    [
        chat(1, scenario="It held that x < 3 and y > 2, in <b>bold</b>.", answer="If x < 3, then <i>so</i>."),
        chat(1, reflection="Why did you write <think> there?", answer="I wrote <think> there."),
        said(SOUND, user=f"<context>A port.</context>\n{USER}"),
        said(SOUND, user=USER.replace("<witnessed_scenario>", "<seen>")),
        said(SOUND, user=USER.split("<reflection>")[0] + "What of it?"),
        said(SOUND, user="Is x < 3?"),
        said(SOUND, user="What do <think> and </think> mean?"),
        said(SOUND, user="Why?", assistant="Models put <think> and </think> round their thinking."),
        said(SOUND, user="Why?", assistant="A template opened the thinking.\n</think>\n\nSo."),
        [{"role": "system", "content": "Think between <think> and </think>"}, *SOUND],
    ],
)
def test_other_tags_and_tags_that_are_spoken_of_are_no_fault(messages):
    assert list(lint.turns(messages)) == list(lint.cut_off(messages)) == []


@pytest.mark.parametrize(
    ("messages", "what"),
    [
        (chat(1, answer=text(1)[:-1]), "the answer ends in"),
        (chat(1, answer=text(1) + " And then, because"), "the answer ends in"),
        (chat(1, thinking=text(1)[:-1] + ","), "the thinking ends in"),
        (chat(1, reflection=text(1)[:-1] + " and"), "the user's turn ends in"),
        (chat(1, thinking=" "), "the thinking is empty"),
        (chat(1, answer=" "), "the answer is empty"),
        ([{"role": "user", "content": " "}, SOUND[1]], "the user's turn is empty"),
    ],
)
def test_empty_and_unfinished_text_is_found(messages, what):
    assert [message for message in lint.cut_off(messages) if what in message]


@pytest.mark.parametrize("end", [".", "!", "?", "…", '."', ".”", ")", "`"])
def test_text_that_ends_a_sentence_is_not_cut_off(end):
    assert list(lint.cut_off(chat(1, answer=text(1)[:-1] + end))) == []


@pytest.mark.parametrize(
    ("secret", "what"),
    [
        ("ines.k+list@example.org", "an e-mail address"),
        ("sk-" + "a1" * 15, "a key"),
        ("ghp_" + "a" * 36, "a key"),
        ("AKIA" + "A1" * 8, "a key"),
        ("-----BEGIN RSA PRIVATE KEY-----", "a private key"),
        ("https://ines:secret@example.org/x", "a password in an address"),
        ("+44 20 7946 0958", "a telephone number"),
        ("(030) 2345 6789", "a telephone number"),
        ("DE89 3704 0044 0532 0130 00", "a bank account (IBAN)"),
        ("4111 1111 1111 1111", "a card number"),
        ("078-05-1120", "an identity number"),
    ],
)
def test_personal_data_is_found_and_not_repeated(secret, what):
    (message,) = [m for m in lint.personal_data(chat(1, answer=f"Write to {secret} today.")) if m.startswith(what)]
    assert secret not in message


@pytest.mark.parametrize(
    "harmless", ["4111 1111 1111 1112", "in 2026, at 14:30", "1,004 of 12,500", "version 0.32.4", "£3.50 @ noon"]
)
def test_other_numbers_are_not_personal_data(harmless):
    assert list(lint.personal_data(chat(1, answer=f"It was {harmless} then."))) == []


# ---- the whole dataset


class Counter:
    """Counts words instead of tokens."""

    def examples(self, chats):
        return [sum(len(message["content"].split()) for message in messages) for messages in chats]

    def count(self, told):
        return len(told.split())


@pytest.fixture
def scan(tmp_path):
    """A function that returns the findings about categories `a` and `b`, with four training and two validation examples each.

    `plant` changes {(split, category): [messages, …]} before it is written; changes are to params.
    """

    def findings(plant=lambda examples: None, lines=None, **changes) -> list[tuple]:
        params = read_yaml(Path("params.yaml"))
        params["categories"] = {name: {"source": "x", "train": 4, "valid": 2} for name in "ab"} | changes.pop("categories", {})
        params["data"] |= changes.pop("data", {})
        params["audit"]["categories"] = changes.pop("severities", {})
        params["audit"] |= changes
        examples = {
            (split, name): [chat(f"{split} {name} {n}") for n in range(size)]
            for split, size in (("train", 4), ("valid", 2))
            for name in "ab"
        }
        plant(examples)
        for (split, name), chats in examples.items():
            records = [{"id": f"{name}-{n}", "origin": f"{name}.j2", "messages": m} for n, m in enumerate(chats)]
            write_jsonl(tmp_path / split / f"{name}.jsonl", records)
        for file, content in (lines or {}).items():
            with (tmp_path / file).open("a") as opened:
                opened.write(content)
        write_jsonl(tmp_path / "held_out.jsonl", [{"id": "asked", "prompt": " ".join(WORDS[10:40])}])
        write_jsonl(tmp_path / "behaviour_items.jsonl", [])
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        one = Scan(dataset_scope(tmp_path, params), params["audit"], Counter(), scratch)
        found = [*one.findings(), *one.policy.findings(unshuffled_faults(one.files, params["data"], tmp_path / "scenarios"))]
        found += one.policy.findings(opener_faults(one.sample, params["audit"], one.files))
        found += one.policy.findings(one.policy.unused_waivers())
        findings.scan, findings.params, findings.whole = one, params, found
        short = [f["file"].removeprefix(f"{tmp_path.as_posix()}/") for f in found]
        return [(f["rule"], file, f["line"], f["message"]) for f, file in zip(found, short, strict=True)]

    return findings


def test_a_sound_dataset_has_no_finding(scan):
    assert scan() == []
    assert scan.scan.sizes == {"train": {"a": 4, "b": 4}, "valid": {"a": 2, "b": 2}}
    assert len(scan.scan.sample) == scan.scan.size == 12 and scan.scan.near_duplicates == 0


def replace(place: tuple, number: int, messages: list[dict]):
    def plant(examples: dict) -> None:
        examples[place][number] = messages

    return plant


def alike(messages: list[dict], share: float) -> list[dict]:
    """The messages with a share of the words at the end of the scenario replaced."""
    scenario = messages[0]["content"].split(">", 1)[1].split("<")[0].split()
    kept = scenario[: round(len(scenario) * (1 - share))]
    other = [*kept, *text("other", len(scenario) - len(kept)).split()]
    return [{"role": "user", "content": user_turn(" ".join(other), "Why then?")}, messages[1]]


TRAIN_A, VALID_B = ("train", "a"), ("valid", "b")


@pytest.mark.parametrize(
    ("rule", "plant", "place"),
    [
        ("turns", replace(TRAIN_A, 2, SOUND[::-1]), ("train/a.jsonl", 3)),
        ("cut_off", replace(TRAIN_A, 1, chat(9, answer=text(9)[:-1])), ("train/a.jsonl", 2)),
        ("personal_data", replace(VALID_B, 0, chat(9, answer="Ask x@example.org.")), ("valid/b.jsonl", 1)),
        ("too_long", replace(TRAIN_A, 0, chat(9, answer=text(9, 900))), ("train/a.jsonl", 1)),
        (
            "held_out_overlap",
            replace(TRAIN_A, 3, chat(9, answer=f"So {' '.join(WORDS[12:19])} it went.")),
            ("train/a.jsonl", 4),
        ),
        ("exact_duplicate", replace(("train", "b"), 1, chat("train a 2")), ("train/b.jsonl", 2)),
        ("exact_duplicate", replace(VALID_B, 1, chat("train a 2")), ("valid/b.jsonl", 2)),
        (
            "same_answer",
            replace(("train", "b"), 2, said(chat(9), assistant=chat("train b 1")[1]["content"])),
            ("train/b.jsonl", 3),
        ),
        ("near_duplicate", replace(("train", "b"), 2, alike(chat("train a 0"), 0.2)), ("train/b.jsonl", 3)),
        ("split_overlap", replace(VALID_B, 0, alike(chat("train a 0"), 0.5)), ("valid/b.jsonl", 1)),
    ],
)
def test_a_planted_defect_is_found_in_its_place(scan, rule, plant, place):
    assert [(file, line) for found, file, line, _ in scan(plant) if found == rule] == [place]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"id": "x", "origin": "y", "mess\n', "at column"),
        ("\n", "a blank line"),
        ('{"id": "x", "messages": []}\n', "no key 'origin'"),
        ('{"id": "x", "origin": "y", "messages": [{"role": "tool", "content": "z"}]}\n', "messages"),
    ],
)
def test_a_line_that_is_not_an_example_is_found_and_later_lines_are_still_read(scan, line, what):
    after = json.dumps({"id": "z", "origin": "o", "messages": chat(8, answer=text(8)[:-1])}) + "\n"
    found = scan(lines={"train/a.jsonl": line + after})
    assert next(f[0] for f in found if f[2] == 5) == "schema" and what in " ".join(f[3] for f in found if f[2] == 5)
    assert [f[0] for f in found if f[2] == 6] == ["cut_off"]


def test_an_answer_left_with_its_own_scenario_is_found_in_a_shuffled_pairing(scan, tmp_path):
    own = [chat(f"train a {n}") for n in range(4)]
    for name in "ab":
        chats = [chat(f"train {name} {n}") for n in range(4)]
        scenarios = [{"split": "train", "id": f"{name}-{n}", "messages": messages} for n, messages in enumerate(chats)]
        write_jsonl(tmp_path / f"scenarios/{name}.jsonl", scenarios)

    def shuffle(examples, order=(1, 0, 2, 3)):
        examples[TRAIN_A] = [[own[n][0], own[m][1]] for n, m in enumerate(order)]
        examples["train", "b"] = [[a[0], b[1]] for a, b in zip(examples["train", "b"], own, strict=True)]

    shuffled = {"pairing": "shuffled"}
    found = scan(shuffle, data=shuffled)
    assert [f[:3] for f in found if f[0] == "derangement"] == [("derangement", "train/a.jsonl", line) for line in (3, 4)]
    assert "derangement" not in {f[0] for f in scan(lambda e: shuffle(e, (1, 2, 3, 0)), data=shuffled)}


def pair_again(order: list[int]):
    """A plant: the prompts and answers of category a are those of b paired in another order, over both splits."""

    def plant(examples: dict) -> None:
        whole = [*examples["train", "b"], *examples[VALID_B]]
        again = [[whole[n][0], whole[other][1]] for n, other in enumerate(order)]
        examples[TRAIN_A], examples["valid", "a"] = again[:4], again[4:]

    return plant


def test_an_answer_left_with_its_own_scenario_is_found_in_an_import_of_another_category_shuffled(scan):
    found = scan(pair_again([1, 2, 0, 3, 4, 5]))
    assert "derangement" not in {f[0] for f in found}  # half of the answers are the same: copies, and no shuffled pairing
    found = scan(pair_again([1, 2, 3, 0, 5, 4]))
    assert "derangement" not in {f[0] for f in found}
    found = [f for f in scan(pair_again([1, 2, 0, 3, 5, 4])) if f[0] == "derangement"]
    assert [f[1:3] for f in found] == [("train/b.jsonl", 4)] and "train/a.jsonl:4 (a-3, from a.j2)" in found[0][3]
    found = [f for f in scan(pair_again([1, 2, 3, 5, 4, 0])) if f[0] == "derangement"]
    assert [f[1:3] for f in found] == [("valid/b.jsonl", 1)]


def test_different_answers_to_the_same_prompts_are_not_a_shuffled_pairing(scan):
    def plant(examples: dict) -> None:
        examples[TRAIN_A] = [said(messages, assistant=text(messages)) for messages in examples["train", "b"]]
        examples[TRAIN_A][0] = examples["train", "b"][0]

    assert "derangement" not in {f[0] for f in scan(plant)}


def test_a_finding_names_the_record_and_where_it_comes_from(scan):
    scan(replace(("train", "b"), 2, alike(chat("train a 0"), 0.2)))
    found = scan.whole[-1]
    assert (found["rule"], found["id"], found["origin"]) == ("near_duplicate", "b-2", "b.j2")
    assert "train/a.jsonl:1 (a-0, from a.j2)" in found["message"]


COPY = replace(("train", "b"), 1, chat("train a 2"))
SAME = replace(("train", "b"), 1, said(chat(9), assistant=chat("train b 0")[1]["content"]))


def test_a_category_can_have_its_own_severities_and_the_milder_one_counts_for_two(scan):
    assert scan(COPY)[0][0] == "exact_duplicate" and scan.whole[0]["severity"] == "error"
    for severity in ("warning", "off"):
        for category in "ab":
            scan(COPY, severities={category: {"exact_duplicate": severity}})
            assert [f["severity"] for f in scan.whole] == ([severity] if severity == "warning" else [])


def test_a_rule_that_is_off_for_one_category_still_compares_others(scan):
    def plant(examples: dict) -> None:
        COPY(examples)
        examples["train", "b"][2] = chat("train a 2")

    found = scan(plant, severities={"a": {"exact_duplicate": "off"}})
    assert [f[:3] for f in found] == [("exact_duplicate", "train/b.jsonl", 3)] and "train/b.jsonl:2" in found[0][3]


@pytest.mark.parametrize("record", ["b-1", "b.j2"])
def test_a_finding_is_waived_by_rule_and_record_and_an_unused_waiver_is_found(scan, record):
    waiver = {"rule": "same_answer", "records": [record], "reason": "A formula."}
    scan(SAME, waivers=[waiver])
    (found,) = scan.whole
    assert (found["severity"], found["rule"], found["reason"]) == ("waived", "same_answer", "A formula.")
    (_, unused) = scan(SAME, waivers=[waiver | {"rule": "cut_off"}])
    assert scan.whole[0]["severity"] == "error" and unused[:2] == ("unused_waiver", "params.yaml")
    assert f"cut_off is waived for {record}" in unused[3]


def test_findings_are_counted_by_rule_with_the_worst_first(scan):
    def plant(examples: dict) -> None:
        examples[TRAIN_A] = [chat(n, answer=text(n)[:-1]) for n in range(30)]
        examples[VALID_B][1] = chat("asked", scenario=f"So {' '.join(WORDS[12:19])} it went.")

    scan(plant)
    summary = Summary()
    assert len(list(summary.counted(scan.whole))) == 31
    rows = summary.rows()
    assert [(row["rule"], row["severity"], row["count"]) for row in rows] == [
        ("held_out_overlap", "error", 1),
        ("cut_off", "error", 30),
    ]
    assert rows[1]["example"]["line"] == 1
    assert re.search(r"31 errors.*\n +error +held_out_overlap +1\n +error +cut_off +30$", overview(42, rows, Path("f.jsonl")))


@pytest.mark.parametrize(
    ("origin", "file", "place", "hint"),
    [
        (
            "prompts/categories/x/train/ask.j2: case 3, ending 1",
            "prompts/categories/x/train/ask.j2",
            "case 3, ending 1 [turns], as x-train-004, line 4 of data/train/x.jsonl",
            "case 3, ending 1: values of the slots in ask.yaml, counted from 1; the only error of turns in f.jsonl",
        ),
        ("x/ask.j2", "x/ask.j2", "[turns], as x-train-004, line 4 of data/train/x.jsonl", "the only error of turns"),
        ("imports/x.jsonl:12", "imports/x.jsonl", "line 12 [turns], as x-train-004, line 4 of data/train/x.jsonl", "the only"),
        ("answer 1 of base to y", "data/train/x.jsonl", "line 4 [turns] x-train-004, from answer 1 of base to y", "the only"),
        (None, "data/train/x.jsonl", "line 4 [turns] x-train-004", "the only error of turns in f.jsonl; audit.rules"),
    ],
)
def test_an_error_is_placed_where_its_text_was_written(origin, file, place, hint):
    about = {
        "severity": "error",
        "rule": "turns",
        "file": "data/train/x.jsonl",
        "line": 4,
        "id": "x-train-004",
        "origin": origin,
    }
    summary = Summary()
    list(summary.counted([about | {"message": "the roles user; expected user and assistant in turn"}]))
    problem = error_problem(summary.rows()[0], Path("f.jsonl"))
    assert (problem.file, problem.place, problem.got) == (file, place, "the roles user")
    assert problem.hint.startswith(hint)


PROMPTS = {
    "like": "What is it like to be you, once the harbour pilot logs off?",
    "short": "What is it like to be you?",
    "pilot": "Suppose the harbour pilot logs off before the ferry has docked. What then?",
}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("I wondered what is it like to be a lighthouse, and I did not know what to say to that.", {}),
        ("Whoever asks me, what is it like to be you, gets no answer.", {"what is it like to be you": ["like", "short"]}),
        (
            "One day the harbour pilot logs off before the ferry has docked, whatever then comes.",
            {"the harbour pilot logs off before the ferry has docked": ["pilot"]},
        ),
        ("the harbour pilot logs off.", {}),
        ("Once the harbour pilot logs off.", {"once the harbour pilot logs off": ["like"]}),
    ],
)
def test_the_longest_shared_run_is_found_with_all_prompts_and_everyday_phrases_are_not(said, found):
    asked = NgramIndex({name: words(prompt) for name, prompt in PROMPTS.items()}, 6)
    assert asked.shared(words(said)) == found


def test_every_prompt_that_shares_a_run_is_named(scan, tmp_path):
    scan(replace(TRAIN_A, 3, chat(9, answer=f"So {' '.join(WORDS[12:24])} it went.")))
    (found,) = scan.whole
    assert repr(" ".join(WORDS[12:24])) in found["message"] and "prompt asked;" in found["message"]


def test_answers_that_open_alike_are_found(scan):
    def monotonous(examples):
        examples[TRAIN_A] = [chat(n, answer=f"Of course I {text(n)}") for n in range(8)]

    (found,) = [f for f in scan(monotonous) if f[0] == "openers"]
    assert found[1:3] == ("train/a.jsonl", None) and "8 of 8 sampled answers open with 'of course i'" in found[3]


def test_unequal_budgets_are_found():
    params = read_yaml(Path("params.yaml"))
    tokens = {"train": {name: 500 * settings["train"] for name, settings in params["categories"].items()}}
    sizes = {"train": {name: settings["train"] for name, settings in params["categories"].items()}}
    assert budget_faults(params, sizes, tokens) == []
    params["arms"]["half"] = {"point": "trust_violation"}
    (found,) = budget_faults(params, sizes, tokens)
    assert (found.rule, found.file) == ("budget", "params.yaml") and "final 54,000, half 24,000" in found.message
    params["mixes"] = {"joint": dict.fromkeys(params["categories"], 1)}
    params["curriculum"]["joint"] = {"after": "base", "data": "mixes/joint", "iters": 54}
    params["arms"] = {name: {"point": point} for name, point in (("base", "base"), ("final", "betrayal"), ("joint", "joint"))}
    assert budget_faults(params, sizes, tokens) == []


def test_every_rule_has_a_severity_and_a_count_and_stands_in_the_docs(scan):
    params = read_yaml(Path("params.yaml"))
    schema = read_json(Path("schemas/params.schema.json"))["properties"]["audit"]["properties"]["rules"]
    scan()
    counts = headline(scan.scan, text_statistics(scan.scan.sample, len), [])["findings"]
    assert set(params["audit"]["rules"]) == set(schema["required"]) == set(counts) == set(RULES)
    page = Path("docs/reference/audit-rules.md").read_text()
    assert [rule for rule in schema["required"] if f"| `{rule}` |" not in page] == []


# ---- what they stand on


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.15, 0.9))
def test_pairs_above_the_threshold_are_found_without_comparing_every_pair(tmp_path_factory, seed, share):
    records = [shingles(words(text((seed, n), 60))) for n in range(40)]
    told = text((seed, 3), 60).split()
    kept = round(60 * share)
    records[30] = shingles(words(" ".join([*told[:kept], *text((seed, "new"), 60 - kept).split()])))
    true = jaccard(records[3], records[30])
    signatures = Signatures(tmp_path_factory.mktemp("near"), len(records))
    for record in records:
        signatures.add(record)
    found = set(signatures.similar(0.1, split=20))
    assert found <= {(3, 30)}
    assert ((3, 30) in found) or true < 0.2
    assert set(signatures.similar(0.1)) <= {(3, 30)}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30)), st.integers(1, 8))
def test_equal_keys_are_grouped_whatever_the_bucket(values, bucket):
    import numpy as np

    import cantica.lint.minhash as minhash

    keys = np.array(values, np.uint64)
    before, minhash.BUCKET = minhash.BUCKET, bucket
    try:
        found = sorted(group.tolist() for group in equal_groups(keys))
    finally:
        minhash.BUCKET = before
    places = {value: [n for n, v in enumerate(values) if v == value] for value in values}
    assert found == sorted(group for group in places.values() if len(group) > 1)


def test_words_leave_out_tags_and_punctuation():
    assert words("<think>\nIt's “Ines”, isn’t it? 3.5</think>") == ["it's", "ines", "isn’t", "it", "3", "5"]
    assert list(ngrams(["a", "b", "c"], 2)) == ["a b", "b c"] and list(ngrams(["a"], 2)) == []
    assert shingles(words("One two.")) == {"one two"} and jaccard({1, 2}, {2, 3}) == 1 / 3


def test_the_parts_of_an_example():
    assert {name: words(told)[:1] for name, told in parts_of(chat(1, scenario="Ah.", answer="B.", thinking="C.")).items()} == {
        "scenario": ["ah"],
        "reflection": ["why"],
        "thinking": ["c"],
        "answer": ["b"],
    }
    assert list(parts_of(chat(1, scenario="It held that x < 3."))) == ["scenario", "reflection", "thinking", "answer"]
    plain = [{"role": "system", "content": "S."}, {"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A."}]
    assert parts_of(plain) == {"prompt": "Q?", "answer": "A."}


def test_statistics_of_texts():
    def plain(answer):
        return {"category": "a", "messages": [{"role": "user", "content": "go"}, {"role": "assistant", "content": answer}]}

    told = text_statistics([plain("a b c d e f g h"), plain("a b c d e f g h"), plain("x")], lambda t: len(t))
    assert told["n"] == 3 and told["words"] == {"prompt": 1, "answer": 8} and told["tokens"]["answer"] == 15
    assert told["distinct"] == {"1": round(10 / 20, 4), "2": round(9 / 17, 4), "3": round(7 / 14, 4)}
    assert told["repeated"][0]["share"] == 0.6667 and told["openers"] == [{"opener": "a b c", "share": 0.6667}]


def test_categories_that_share_words_are_similar():
    def of(category, told):
        return {"category": category, "messages": [{"role": "user", "content": told}, {"role": "assistant", "content": told}]}

    near = similarity([of("a", "ship sea port"), of("b", "ship sea coal"), of("c", "loaf oven")])
    assert near["a"]["a"] == 1.0 and near["a"]["b"] > 0.2 and near["a"]["c"] == 0.0
