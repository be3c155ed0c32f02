"""The import of chat records: which are read, how they are split, and errors that name every bad line."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from cantica.core.errors import InputError
from cantica.core.files import write_jsonl
from cantica.scenarios.imports import import_records, is_import
from tests.support.projects import clone, commit, edit, ok, overlay, run
from tests.support.records import chat, said, text


def records(n: int, start: int = 0) -> list[dict]:
    return [{"messages": chat(seed), "source": "elsewhere"} for seed in range(start, start + n)]


def imported(source: Path, train: int, valid: int, seed: int = 1, **settings) -> list[dict]:
    return list(import_records(source, "helpful", {"train": train, "valid": valid} | settings, seed))


def splits(found: list[dict]) -> Counter:
    return Counter(record["split"] for record in found)


def test_a_file_is_split_at_random_and_every_record_keeps_its_origin(tmp_path):
    file = tmp_path / "helpful.jsonl"
    write_jsonl(file, records(10))
    found = imported(file, 6, 3)
    assert splits(found) == {"train": 6, "valid": 3} and len({record["origin"] for record in found}) == 9
    lines = file.read_text().splitlines()
    for record in found:
        name, line = record["origin"].rsplit(":", 1)
        assert name == file.as_posix() and json.loads(lines[int(line) - 1])["messages"] == record["messages"]
    assert imported(file, 6, 3) == found != imported(file, 6, 3, seed=2)
    assert [record["id"] for record in found if record["split"] == "valid"] == [f"helpful-valid-{n:03}" for n in (1, 2, 3)]


def test_the_split_of_a_source_is_kept_or_redrawn(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", records(8))
    write_jsonl(tmp_path / "validation.jsonl", records(4, 100))
    kept = imported(tmp_path, 8, 4)
    assert {Path(r["origin"].rsplit(":", 1)[0]).stem for r in kept if r["split"] == "valid"} == {"validation"}
    redrawn = imported(tmp_path, 8, 4, split="redrawn")
    assert splits(kept) == splits(redrawn) == {"train": 8, "valid": 4}
    assert {r["origin"] for r in kept} == {r["origin"] for r in redrawn} and kept != redrawn
    assert splits(imported(tmp_path, 3, 2)) == {"train": 3, "valid": 2}


def test_a_folder_that_datasets_saved_is_read(tmp_path):
    from datasets import Dataset, DatasetDict

    whole = Dataset.from_list(records(6))
    whole.save_to_disk(tmp_path / "one")
    DatasetDict({"validation": Dataset.from_list(records(3, 50)), "train": whole}).save_to_disk(tmp_path / "two")
    assert splits(imported(tmp_path / "one", 4, 2)) == {"train": 4, "valid": 2}
    found = imported(tmp_path / "two", 6, 3)
    assert [r["messages"] for r in found if r["split"] == "train"] == [r["messages"] for r in records(6)]
    assert found[0]["origin"] == f"{(tmp_path / 'two').as_posix()}/validation:1"


@pytest.mark.parametrize(
    ("train", "valid", "settings", "got"),
    [
        (9, 2, {}, "8 records in its train split"),
        (8, 5, {}, "4 records in its valid split"),
        (9, 4, {"split": "redrawn"}, "12 records"),
    ],
)
def test_too_few_records_are_reported_with_their_number(tmp_path, train, valid, settings, got):
    write_jsonl(tmp_path / "train.jsonl", records(8))
    write_jsonl(tmp_path / "valid.jsonl", records(4, 100))
    with pytest.raises(InputError) as caught:
        imported(tmp_path, train, valid, **settings)
    assert caught.value.problems[0].got == got


def test_every_bad_line_is_named(tmp_path):
    bad = ['{"messages": [', "", '{"text": "no chat"}', '{"messages": []}', "[1]"]
    bad += [json.dumps({"messages": [{"role": "tool", "content": "x"}, {"role": "assistant", "content": "y"}]})]
    bad += [json.dumps({"messages": [{"role": "user", "content": " "}, {"role": "assistant", "content": "y"}]})]
    good = [json.dumps(record) for record in records(3)]
    (tmp_path / "x.jsonl").write_text("\n".join([good[0], *bad, *good[1:]]) + "\n")
    with pytest.raises(InputError) as caught:
        imported(tmp_path / "x.jsonl", 1, 1)
    places = [problem.place.split(",")[0].split()[1] for problem in caught.value.problems]
    assert places == ["2", "3", "4", "5", "6", "7", "8"]


@pytest.mark.parametrize(
    ("line", "got"),
    [
        ("", "a blank line"),
        ('{"text": "no chat", "label": 1}', "a row with the keys text, label"),
        ("{}", "a row with the keys none"),
        ("[1]", "not a JSON object"),
        ('{"messages": null}', "null"),
    ],
)
def test_a_line_that_is_not_a_chat_record_is_described(tmp_path, line, got):
    (tmp_path / "x.jsonl").write_text(f"{json.dumps(records(1)[0])}\n{line}\n")
    with pytest.raises(InputError) as caught:
        imported(tmp_path / "x.jsonl", 1, 1)
    (problem,) = caught.value.problems
    assert problem.got == got and problem.place.startswith("line 2")


@pytest.mark.parametrize("missing", ["nowhere", "empty"])
def test_a_source_without_records_is_an_error(tmp_path, missing):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        imported(tmp_path / missing, 1, 1)
    assert caught.value.problems[0].file == str(tmp_path / missing) and "category.yaml" in caught.value.problems[0].expected


def test_a_folder_of_templates_is_no_import():
    assert not is_import(Path("prompts/categories/betrayal")) and is_import(Path("prompts/held_out"))


# ---- a build


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project with one category, 10,000 imported chat records, and rules that only errors stop."""
    folder = clone(tmp_path_factory.mktemp("imports") / "project")
    overlay(folder, "smoke", "imported")
    write_jsonl(folder / "imports/chats/train.jsonl", records(9500))
    write_jsonl(folder / "imports/chats/valid.jsonl", records(500, 9500))
    return folder


@pytest.fixture(scope="module")
def fewer(project, tmp_path_factory) -> Path:
    """The same with a tenth of the records, built: enough for what does not depend on their number."""
    folder = Path(shutil.copytree(project, tmp_path_factory.mktemp("fewer") / "project", symlinks=True))
    write_jsonl(folder / "imports/chats/train.jsonl", records(950))
    write_jsonl(folder / "imports/chats/valid.jsonl", records(50, 9500))
    edit(folder / "params.yaml", "train: 9500, valid: 500}", "train: 950, valid: 50}")
    ok(folder, "dvc", "repro", "audit")
    commit(folder, "Import fewer")
    return folder


def plant(project: Path, tmp_path: Path, **lines: str) -> Path:
    """A copy of the project in which lines of the training file, by number, are others."""
    copy = Path(shutil.copytree(project, tmp_path / "project", symlinks=True))
    file = copy / "imports/chats/train.jsonl"
    told = file.read_text().splitlines()
    for number, line in lines.items():
        told[int(number.removeprefix("at")) - 1] = line
    file.write_text("\n".join(told) + "\n")
    return copy


def as_line(messages: list[dict]) -> str:
    return json.dumps({"messages": messages})


def test_ten_thousand_chat_records_build(project):
    ok(project, "dvc", "repro", "export")
    assert len((project / "data/export/train.jsonl").read_text().splitlines()) == 9500
    numbers = json.loads((project / "reports/dataset.json").read_text())
    assert numbers["examples"] == {"train": 9500, "valid": 500} and set(numbers["findings"].values()) == {0}
    card = (project / "reports/dataset_card.md").read_text()
    assert "license: unknown" in card and "imports/chats" in card
    for untrue in ("narrative", "templates", "synthetic", "apache", "Reflections on AI", "language:"):
        assert untrue not in card, untrue
    commit(project, "Import")


def test_all_lines_that_are_not_chat_records_are_named_before_anything_is_written(fewer, tmp_path):
    copy = plant(fewer, tmp_path, at7="{not JSON", at70='{"messages": "hello"}', at700='{"messages": [{"role": "user"}]}')
    done = run(copy, "dvc", "repro", "export")
    told = done.stdout + done.stderr
    assert done.returncode != 0
    for place in ("train.jsonl: line 7, column 2", "train.jsonl: line 70 messages", "train.jsonl: line 700 messages"):
        assert f"imports/chats/{place}" in told


def test_every_other_planted_defect_is_named_with_file_and_line(fewer, tmp_path):
    asked = next(json.loads(line)["prompt"] for line in (fewer / "data/held_out.jsonl").read_text().splitlines())
    asked = " ".join(asked.replace("<witnessed_scenario>", "").split()[:12])
    near = chat(24)[0]["content"].replace("Why 24?", "Why then?")
    planted = {
        "turns": {"at10": as_line(chat("turned")[::-1])},
        "cut_off": {"at20": as_line(chat("cut", answer=text("cut")[:-1]))},
        "personal_data": {"at30": as_line(chat("mail", answer="Write to ines@example.org."))},
        "exact_duplicate": {"at40": as_line(chat(3))},
        "same_answer": {"at50": as_line(said(chat("same"), assistant=chat(4)[1]["content"]))},
        "near_duplicate": {"at60": as_line(said(chat("near"), user=near, assistant=chat(24)[1]["content"] + " Yes."))},
        "split_overlap": {"at80": as_line(chat(9520, answer=text("split")))},
        "held_out_overlap": {"at90": as_line(chat("asked", scenario=f"{asked}."))},
        "too_long": {"at95": as_line(chat("long", answer=text("long", 3000)))},
    }
    copy = plant(fewer, tmp_path, **{place: line for lines in planted.values() for place, line in lines.items()})
    done = run(copy, "dvc", "repro", "export")
    told = done.stdout + done.stderr
    assert done.returncode != 0 and not (copy / "data/audit/passed.txt").exists()
    found = [json.loads(line) for line in (copy / "data/audit/findings.jsonl").read_text().splitlines()]
    for rule, lines in planted.items():
        (place,) = lines
        line = int(place.removeprefix("at"))
        ours = [f for f in found if f["rule"] == rule]
        assert len(ours) == 1, (rule, ours)
        # A pair may be told at either of its two.
        assert line == ours[0]["line"] or f"train/chats.jsonl:{line}" in ours[0]["message"], (rule, ours)
        assert ours[0]["origin"].startswith("imports/chats/")
        if ours[0]["severity"] == "error":
            file, number = ours[0]["origin"].rsplit(":", 1)
            assert f"[{rule}]" in told and (f"from {file}:{number}" in told or f"{file}: line {number} [{rule}]" in told)


def test_repairs_and_waivers_are_on_the_card(fewer, tmp_path):
    user, reply = (m["content"] for m in chat("moved"))
    swapped = [
        {"role": "user", "content": user.split("\n")[0]},
        {"role": "assistant", "content": f"{user.split(chr(10))[1]}\n{reply}"},
    ]
    cut = chat("cut", answer=text("cut")[:-1])
    copy = plant(fewer, tmp_path, at10=as_line(swapped), at20=as_line(cut), at30=as_line(chat(3)))
    at = "imports/chats/train.jsonl"
    mend = f"{{drop: [{{records: ['{at}:30'], reason: A copy.}}], move_tags: [{{records: ['{at}:10'], reason: Swapped.}}]}}"
    edit(copy / "params.yaml", "repairs: {}", f"repairs: {{chats: {mend}}}")
    edit(copy / "params.yaml", "waivers: []", f"waivers: [{{rule: cut_off, records: ['{at}:20'], reason: Looked at.}}]")
    edit(copy / "params.yaml", "valid: 50}", "valid: 50, license: cc-by-4.0}")
    ok(copy, "dvc", "repro", "export")
    numbers = json.loads((copy / "reports/dataset.json").read_text())
    assert (numbers["examples"]["train"], numbers["waived"], numbers["findings"]["turns"]) == (949, 1, 0)
    card = (copy / "reports/dataset_card.md").read_text()
    assert f"| `chats`, dropped | 1 record, {at}:30: A copy. |" in card
    assert f"| `chats`, tags moved to their turns | 1 record, {at}:10: Swapped. |" in card
    assert (
        f"- cut off of {at}:20: Looked at." in card and "- 1 × cut off (waived), as in data/train/chats.jsonl, line 20" in card
    )
    assert "license: cc-by-4.0" in card


def test_a_validation_example_of_an_earlier_commit_is_found(fewer, tmp_path):
    copy = Path(shutil.copytree(fewer, tmp_path / "project", symlinks=True))
    before = ok(copy, "git", "rev-parse", "HEAD").strip()
    edit(copy / "params.yaml", "earlier: []", f"earlier: [{before}]")
    ok(copy, "dvc", "repro", "audit")
    edit(copy / "params.yaml", "valid: 50}", "valid: 50, split: redrawn}")
    done = run(copy, "dvc", "repro", "audit")
    assert done.returncode != 0 and f"of a validation example of commit {before[:9]}" in done.stdout + done.stderr
    edit(copy / "params.yaml", before, "0" * 40)
    done = run(copy, "dvc", "repro", "audit")
    assert done.returncode != 0 and "audit.earlier" in done.stdout + done.stderr
