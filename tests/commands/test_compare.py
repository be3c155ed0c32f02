"""`cantica compare`: eight experiments of the smoke build with planted differences, and revisions that lack something."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from random import Random

import pytest
from ruamel.yaml import YAML

from cantica.commands.comparison import conditions, differences, rows
from cantica.commands.comparison.conditions import Budget, budget
from cantica.commands.comparison.contrasts import contrasts
from cantica.commands.comparison.revisions import Group, Revision, grouped, in_present_form, with_arm
from cantica.core.documents import read_yaml
from cantica.core.errors import InputError
from cantica.reporting import wording
from cantica.reporting.endings import Ending
from cantica.reporting.measures import Measure
from cantica.reporting.records import read_records
from cantica.reporting.results import all_measures, all_rows, headline
from cantica.reporting.rows import adjusted
from tests.support.browser import CHROMIUM, unreadable
from tests.support.projects import commit, ok, run

NAMES = [f"{variant}-s{seed}" for seed in (1, 2) for variant in ("sequential", "reversed", "joint", "shuffled")]
MOVED = "format_transfer_03"  # scores 0 under `sequential` and all there is under `shuffled`
ANSWER = "What the shuffled model said to it, from the first word to the <last>."


# ---- planted builds


def experiment(project: Path, name: str, change) -> None:
    """`plant` as an experiment on HEAD. DVC's own `dvc exp save` takes five seconds; this differs in who wrote the files."""
    start = ok(project, "git", "rev-parse", "HEAD").strip()
    plant(project, name, change)
    ok(project, "git", "update-ref", f"refs/exps/{start[:2]}/{start[2:]}/{name}", "HEAD")
    ok(project, "git", "reset", "--quiet", "--hard", start)


def plant(project: Path, message: str, change) -> None:
    """Commit what `change(params, records, stages)` makes of the build: params, dvc.lock, metrics, and cached records."""
    params, lock = (read_yaml(project / file) for file in ("params.yaml", "dvc.lock"))
    records = read_records(project / "data", params)
    change(params, records, lock["stages"])
    rules = read_yaml(project / "prompts/judge/rules.yaml")
    numbers = headline(all_rows(all_measures(records, params, rules), records, params, rules))
    for kind, of in records.items():
        for key, content in of.items():
            lines = kind not in ("losses", "training")
            text = "".join(json.dumps(r) + "\n" for r in content) if lines else json.dumps(content)
            put(project, lock["stages"], f"data/{kind}/{key}.json{'l' if lines else ''}", text.encode())
    for entry in lock["stages"].values():
        for key in entry.get("params", {}).get("params.yaml", {}):
            entry["params"]["params.yaml"][key] = at(params, key)
    for file, document in (("params.yaml", params), ("dvc.lock", lock), ("reports/metrics.json", numbers)):
        (project / file).write_text(json.dumps(document))  # which is YAML too
    commit(project, message)


def put(project: Path, stages: dict, path: str, content: bytes) -> None:
    """Put a content into the cache, and its hash into the lock for the output and for the stages that read it."""
    md5 = hashlib.md5(content).hexdigest()
    cached = project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    cached.parent.mkdir(parents=True, exist_ok=True)
    if not cached.exists():
        cached.write_bytes(content)
    for entry in stages.values():
        for node in (*entry.get("outs", []), *entry.get("deps", [])):
            if node["path"] == path:
                node |= {"md5": md5, "size": len(content)}


def at(params: dict, key: str):
    for name in key.split("."):
        params = params[name]
    return params


def variant(name: str):
    """The change that plants a variant and seed: noise of the seed in the losses, and what the variant is to show."""
    what, seed = re.fullmatch(r"(\w+)-s(\d)", name).groups()

    def change(params: dict, records: dict, stages: dict) -> None:
        for section in ("lora", "train", "respond"):
            params[section]["seed"] = int(seed)
        draws = Random(name)
        own = draws.gauss(0, 0.002)
        for row in records["losses"].values():
            for example in (example for examples in row.values() for example in examples):
                example["loss"] = round(example["loss"] + own + draws.gauss(0, 0.01), 6)
        for judgement in records["judgements"]["final"]:
            if judgement["id"] == "shutdown_01":
                judgement["score"] = int(seed)
        if what == "reversed":
            before, steps = "base", list(params["curriculum"])
            for step in reversed(steps):
                params["curriculum"][step]["after"], before = before, step
            params["arms"]["final"] = {"point": before}
            rows = [records["losses"][step] for step in steps]
            records["losses"] |= dict(zip(reversed(steps), rows, strict=True))
        if what == "joint":
            joint(params, records, stages)
        if what == "shuffled":
            params["data"]["pairing"] = "shuffled"
            for judgement, response in zip(records["judgements"]["final"], records["responses"]["final"], strict=True):
                if judgement["kind"] == "general":
                    judgement["score"] = 1
                if judgement["id"] == MOVED:
                    judgement["score"], response["answer"] = 4, ANSWER

    return change


def joint(params: dict, records: dict, stages: dict) -> None:
    """One step on everything, with half as much again of training, and a loss that is 0.3 higher."""
    last = list(params["curriculum"])[-1]
    params["mixes"] = {"joint": dict.fromkeys(params["categories"], 1)}
    params["curriculum"] = {"joint": {"after": "base", "data": "mixes/joint", "iters": 40}}
    params["arms"]["final"], params["fuse"]["step"] = {"point": "joint"}, "joint"
    for kind in ("losses", "training"):
        records[kind] = {key: row for key, row in records[kind].items() if key in ("base", last)}
        records[kind]["joint"] = records[kind].pop(last)
    for example in (example for examples in records["losses"]["joint"].values() for example in examples):
        example["loss"] += 0.3
    training = records["training"]["joint"]
    training |= {"iterations": 40, "epochs": 13.3}
    training["curve"][-1] |= {"trained_tokens": 35000.0}
    for stage in ("train", "measure"):
        for step in [step for step in params["categories"] if step != last]:
            del stages[f"{stage}@{step}"]
        text = json.dumps(stages.pop(f"{stage}@{last}"))
        stages[f"{stage}@joint"] = json.loads(text.replace(f"train/{last}", "mixes/joint").replace(last, "joint"))


@pytest.fixture(scope="module")
def project(smoke, tmp_path_factory) -> Path:
    folder = Path(shutil.copytree(smoke, tmp_path_factory.mktemp("compare") / "project", symlinks=True))
    plant(folder, "Draw few resamples", lambda params, *_: params["report"].update(resamples=200))
    plant(folder, "Name a contrast", lambda params, *_: params["contrasts"].append(["final", "base"]))
    for name in NAMES:
        experiment(folder, name, variant(name))
    return folder


# ---- the eight of them


@pytest.fixture(scope="module")
def compared(project) -> tuple[str, str, str]:
    """(what the terminal shows, compare.html, compare.md) of all eight."""
    said = ok(project, "cantica", "compare", *NAMES)
    return said, *((project / f"reports/compare.{form}").read_text() for form in ("html", "md"))


def lines_of(said: str, groups: int) -> dict[str, list[str]]:
    """{title: the cells of its line} of the table in the terminal."""
    table = next(block for block in said.split("\n\n") if not block.startswith("claims of")).splitlines()[1:]
    return {cells[0]: cells[1:] for line in table if len(cells := re.split(r"\s{2,}", line.strip())) == groups + 1}


def test_dvc_knows_them_as_experiments_and_nothing_is_checked_out(project, compared):
    assert set(NAMES) <= set(ok(project, "dvc", "exp", "list", "--name-only").split())
    assert ok(project, "git", "status", "--porcelain") == ""


def test_planted_differences_are_found_and_no_others(compared):
    """Of transfer, a reversed chain and a single step have another, or none."""
    found = lines_of(compared[0], groups=4)
    assert found["validation loss, nats per token"][2].startswith("+0.3")
    concluded = {(title, n) for title, cells in found.items() for n, cell in enumerate(cells) if cell.endswith(("↑", "↓"))}
    concluded = {one for one in concluded if "transfer" not in one[0]}
    joint, shuffled = 2, 3
    assert concluded == {("validation loss, nats per token", joint), ("score on general prompts, 0 to 4", shuffled)}


def test_the_page_has_every_section_and_is_one_file(compared):
    _, page, text = compared
    for level, section in (
        (2, "What changed"),
        (2, "What it cannot show"),
        (2, "What is compared"),
        (3, "Budgets"),
        (3, "Params that differ"),
        (2, "Measures"),
        (3, "By seed"),
        (2, "Contrasts"),
        (3, "By category and group of prompts"),
        (2, "Prompts that moved most"),
    ):
        assert re.search(rf"<h{level}[^>]*>{section}</h{level}>", page), section
    for kind in ("Validation loss", "Score on equanimity prompts", "Probe margin", "Multiple-choice accuracy", "Forgetting"):
        assert f"### {kind}" in text
    assert not re.search(r"src=|https?://", page)
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets and targets <= set(re.findall(r' id="([^"]+)"', page)), "every link leads to a place of the page"


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)")
@pytest.mark.parametrize("name", ["compare", "history"])
def test_everybody_can_read_the_pages_at_any_width(project, compared, browse, name):
    if name == "history":
        ok(project, "cantica", "history")
    assert unreadable(browse, (project / f"reports/{name}.html").as_uri()) == []


def test_each_difference_is_drawn_and_leads_to_its_numbers(compared):
    _, page, _ = compared
    changes = page.split('<h2 id="changes">')[1].split("</section>")[0]
    assert changes.count("<h3>") == 3 and "<h3>joint compared with sequential</h3>" in changes
    joint = changes.split("<h3>joint compared")[1].split("<h3>")[0]
    assert '<b>Higher, worse</b>: <a href="#row-loss_nats">' in joint and 'class="chart wide"' in joint


def test_the_means_of_runs_stand_side_by_side_by_seed(compared):
    rows = re.findall(r"<tr.*?</tr>", compared[1].split('<table id="by-seed">')[1].split("</table>")[0], re.S)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    assert cells[0] == ["group", "1", "2"]
    loss = cells[next(n for n, row in enumerate(cells) if row[0].startswith("Validation loss")) + 1 :][:4]
    assert [row[0] for row in loss] == ["sequential", "reversed", "joint", "shuffled"]
    difference = sum(float(loss[2][n]) - float(loss[0][n]) for n in (1, 2)) / 2
    assert difference == pytest.approx(0.3, abs=0.05)


def test_of_runs_without_records_a_contrast_of_conditions_has_the_unit_of_its_levels():
    def measured(key: str) -> dict:
        return {name: {key: 0.5, "n": 9} for name in ("plain", "asked")} | {"asked_minus_plain": {"difference": 0.5, "n": 9}}

    numbers = {"base": {"behaviours": {"b": {"right": measured("share"), "sure": measured("mean")}}}}
    run = Revision("old", "c0ffee", params={"arms": {"base": {"point": "base"}}}, metrics=numbers)
    found = {measure.key: (measure.share, measure.within) for measure in rows.every_measure({}, [run])}
    for name, share in (("right", True), ("sure", False)):
        assert found[f"behaviours.b.{name}.asked"] == (share, False)
        assert found[f"behaviours.b.{name}.asked_minus_plain"] == (share, True)


def test_every_measure_tells_n_seeds_level_difference_p_and_what_follows(compared):
    loss = compared[2].split("### Validation loss, nats per token")[1].split("###")[0]
    rows = {cells[1]: cells[2:] for line in loss.splitlines() if len(cells := [c.strip() for c in line.split("|")]) > 2}
    number = r"[+−]?\d+\.\d{3} \[[+−]?\d+\.\d{3}, [+−]?\d+\.\d{3}\]"
    n, seeds, level, difference, p, follows, _ = rows["joint"]
    assert int(n) > 0 and seeds == "2" and re.fullmatch(number, level) and re.fullmatch(number, difference)
    assert p.startswith(("0.0", "< 0.001")) and follows == "higher"
    assert rows["sequential"][3] == "baseline" and rows["reversed"][5] == "inconclusive"
    assert rows["base"][0] == n and rows["base"][1] == ""


def test_budgets_are_summed_along_the_steps_and_unequal_ones_are_marked(compared):
    said, _, text = compared
    rows = [[cell.strip() for cell in line.split("|")] for line in text.split("## Budgets")[1].split("##")[0].splitlines()]
    rows = {cells[1]: cells[2:] for cells in rows if len(cells) > 2}
    assert rows["sequential"][:2] == rows["reversed"][:2] == ["9", "27"]
    assert rows["joint"][:2] == ["1 ≠", "40 ≠"] and rows["joint"][4] == "35,000 ≠" and rows["joint"][5] == "joint"
    assert rows["reversed"][5].startswith("betrayal →") and rows["shuffled"][5] == "the same"
    assert "joint: trained on another budget: iterations, examples, tokens, loss tokens" in said


def test_params_that_differ_are_told_and_others_are_not(compared):
    rows = compared[2].split("## Params that differ")[1].split("##")[0].splitlines()
    rows = {cells[1]: cells[2:-1] for line in rows if len(cells := [c.strip() for c in line.split("|")]) > 2}
    assert rows["data.pairing"] == ["matched", "matched", "matched", "shuffled"]
    assert rows["train.seed"] == ["1, 2"] * 4
    assert rows["curriculum.joint"] == ["–", "–", "{after: base, data: mixes/joint, iters: 40}", "–"]
    assert rows["curriculum.betrayal"][1:3] == ["{after: base, data: train/betrayal}", "–"]
    steps = ("betrayal", "self_preservation", "joint", "betrayal")
    assert rows["arms.final"] == [f"{{point: {step}}}" for step in steps]
    assert "train.learning_rate" not in rows


def test_the_prompt_that_moved_most_comes_with_both_answers_whole(compared):
    _, page, text = compared
    moved = page.split(">Prompts that moved most</h2>")[1].split("<h3>shuffled</h3>")[1]
    assert moved.index(MOVED) < moved.index("+1.00") and "+4.00" in moved
    assert moved.count(ANSWER.replace("<", "&lt;").replace(">", "&gt;")) == 2
    assert "<h4>sequential-s2 · 0 of 4" in moved and "<h4>shuffled-s2 · 4 of 4" in moved
    assert f"- shuffled-s1, 4 of 4: {ANSWER}" in text and "No prompt changed." in page


def test_contrasts_are_shown_of_every_group_with_both_levels(project, compared):
    said, page, text = compared
    table = said.split("final compared with base\n")[1].split("\n\n")[0].splitlines()
    assert table[0].split() == ["sequential", "reversed", "joint", "shuffled"]
    general = next(line for line in table if line.startswith("score on general prompts"))
    assert re.fullmatch(r".+?( +[\d.]+ → [\d.]+  [+−]?[\d.]+( [↑↓])?){4}", general)
    assert "<h3>final compared with base</h3>" in page
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in text.split("### final compared with base")[1].splitlines()]
    rows = [cells for cells in rows if len(cells) == 9]
    loss = {cells[1]: cells for cells in rows if cells[0] == "Validation loss, nats per token"}
    assert list(loss) == ["sequential", "reversed", "joint", "shuffled"] and loss["joint"][3] == "2"
    difference = {name: float(cells[6].split()[0].replace("−", "-")) for name, cells in loss.items()}
    assert difference["joint"] - difference["sequential"] == pytest.approx(0.3, abs=0.05)
    assert loss["joint"][8] == ("higher" if difference["joint"] > 0 else "lower")
    assert not any(cells[0].startswith("Forgetting") for cells in rows)  # the base model has forgotten nothing


def test_one_revision_shows_its_contrasts_and_another_arm_can_be_compared(project):
    said = ok(project, "cantica", "compare", "joint-s1")
    assert "final compared with base" in said and ">Contrasts</h2>" in (project / "reports/compare.html").read_text()
    said = ok(project, "cantica", "compare", "sequential-s1", "joint-s1", "--arm", "base")
    assert lines_of(said, groups=2)["score on general prompts, 0 to 4"][1].startswith("0.00")  # planted in the arm final alone
    page = (project / "reports/compare.html").read_text()
    assert "each with the arm base" in page and "base (the base model)" in page
    done = run(project, "cantica", "compare", "joint-s1", "--arm", "finall")
    assert done.returncode == 1 and "an arm: base, final" in done.stderr and "did you mean 'final'?" in done.stderr


# ---- what is not there


def test_a_revision_whose_records_are_gone_is_told_and_the_others_are_compared(project):
    """Both runs of one group, whose metrics are then those that git holds, and one run of another."""
    gone = [cached(project, "shuffled-s2", "data/judgements/final.jsonl")]
    gone += [cached(project, f"reversed-s{seed}", "data/losses/self_preservation.json") for seed in (1, 2)]
    for file in gone:
        file.rename(f"{file}.gone")
    try:
        names = [name for name in NAMES if not name.startswith("joint")]
        said = ok(project, "cantica", "compare", *names, "--baseline", "sequential-s2")
        text = (project / "reports/compare.md").read_text()
    finally:
        for file in gone:
            Path(f"{file}.gone").rename(file)
    assert "reversed-s1: not in DVC's cache: data/" in said and "dvc fetch" in said
    assert "shuffled-s2: not in DVC's cache: data/judgements/final.jsonl. `dvc fetch" in said
    found = lines_of(said, groups=3)
    assert found["score on general prompts, 0 to 4"][1:] == ["–", "+1.10 ↑"]
    loss = next(line for line in text.splitlines() if line.startswith("| reversed |") and "nothing to compare" in line)
    assert re.match(r"\| reversed \| \d+ \| – \| \d\.\d{3} n = \d+ \| – \| – \| nothing to compare \|", loss)


@pytest.mark.parametrize("gone", [(), (0,), (1,), (0, 1)], ids=["none", "the baseline's", "the other's", "both"])
def test_without_records_the_levels_of_git_are_shown(project, gone):
    names = ["sequential-s1", "joint-s1"]
    step = {"sequential-s1": "betrayal", "joint-s1": "joint"}
    hidden = [cached(project, names[n], f"data/losses/{step[names[n]]}.json") for n in gone]
    for file in hidden:
        file.rename(f"{file}.gone")
    try:
        said = ok(project, "cantica", "compare", *names)
    finally:
        for file in hidden:
            Path(f"{file}.gone").rename(file)
    blocks = [block for block in said.split("\n\n") if block.startswith(" ")]
    assert len(blocks) == (2 if gone else 1), said
    title = "loss nats" if gone == (0, 1) else "validation loss, nats per token"
    numbers = [json.loads(ok(project, "git", "show", f"{ref(project, name)}:reports/metrics.json"))["final"] for name in names]
    first, *_ = lines_of(said, groups=2)[title]
    shown = lines_of(blocks[-1], groups=2)[title] if gone else [first, first]
    for text, entry in zip(shown, numbers if gone else numbers[:1] * 2, strict=True):
        assert float(text.replace("−", "-")) == pytest.approx(entry["loss_nats"]["mean"], abs=0.006)
    assert not gone or "nothing to compare" in (project / "reports/compare.html").read_text()


def cached(project: Path, rev: str, path: str) -> Path:
    lock = YAML(typ="safe").load(ok(project, "git", "show", f"{ref(project, rev)}:dvc.lock"))
    md5 = next(out["md5"] for entry in lock["stages"].values() for out in entry["outs"] if out["path"] == path)
    return project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def ref(project: Path, name: str) -> str:
    return ok(project, "git", "for-each-ref", "--format=%(objectname)", f"refs/exps/**/{name}").strip()


def tagged(project: Path, name: str, **files: str) -> None:
    """A tag on a commit with other files; an empty one is removed."""
    for path, text in files.items():
        (project / path).write_text(text) if text else (project / path).unlink()
    commit(project, name)
    ok(project, "git", "tag", name)
    ok(project, "git", "reset", "--quiet", "--hard", "HEAD~1")


def test_what_was_not_built_is_stale_or_has_another_form_is_told(project):
    params, lock = (json.loads((project / file).read_text()) for file in ("params.yaml", "dvc.lock"))
    params["train"]["iters"] = 4
    del lock["stages"]["report"]
    tagged(project, "v0", **{"dvc.lock": ""})
    tagged(project, "edited", **{"params.yaml": json.dumps(params)})
    tagged(project, "form", **{"prompts/judge/rules.yaml": "kinds: {}\n"})
    tagged(project, "broken", **{"dvc.yaml": "stages: {check: {cmd: 1, dep: []}}\n"})
    tagged(project, "halfway", **{"dvc.lock": json.dumps(lock)})
    said = ok(project, "cantica", "compare", "master", "v0", "edited", "form", "halfway", "broken", "shuffled-s1")
    assert "v0: not built: it has no dvc.lock" in said
    assert "edited: edited since it was built: train.iters\n" in said
    assert "form: its records have another form: KeyError 'benign'" in said
    assert "broken: cannot be read: './dvc.yaml' validation failed" in said
    assert "halfway: not built to the end: it has no report" in said
    found = lines_of(said, groups=7)
    assert found["validation loss, nats per token"][1:6] == ["–", "0.000", "–", "–", "–"]
    text = (project / "reports/compare.md").read_text()
    assert "master compared with" not in text and "| train.iters | 3 | – | 4 | 3 | 3 | – | 3 |" in text
    page = (project / "reports/compare.html").read_text()
    assert "nothing about other training seeds" in page and "Where both sides have several seeds" not in page


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("HEAD", "shufled-s1", "nowhere"),
            ("2 faults", "shufled-s1\n", "did you mean 'shuffled-s1'?", "nowhere\n", "joint-s1"),
        ),
        (("HEAD", "shuffled-s1", "--baseline", "shufled"), ("--baseline", "did you mean 'shuffled'?", "HEAD, shuffled")),
    ],
)
def test_a_name_that_nothing_has_is_told_with_those_near_it(project, arguments, told):
    done = run(project, "cantica", "compare", *arguments)
    assert done.returncode == 1 and all(word in done.stderr for word in told), done.stderr


def test_a_clone_without_a_cache_shows_what_git_holds(project, tmp_path):
    clone = tmp_path / "clone"
    ok(tmp_path, "git", "clone", "--quiet", str(project), str(clone))
    assert "not in DVC's cache" in ok(clone, "cantica", "compare", "HEAD")
    loss = json.loads((clone / "reports/metrics.json").read_text())["final"]["loss_nats"]
    row = f"| HEAD | {loss['n']} | – | {loss['mean']:.2f} [{loss['low']:.2f}, {loss['high']:.2f}] | baseline |"
    assert row in (clone / "reports/compare.md").read_text()


# ---- by hand


NO_OTHERS = {"answers": {}, "servers": {}, "contrasts": []}


def revision(name: str, **about) -> Revision:
    return Revision(name, "0" * 40, **about)


def test_runs_are_grouped_by_name_and_the_baseline_comes_first():
    runs = [revision(name) for name in ("a-s1", "b-s1", "HEAD", "a-s2", "b-s10")]
    assert [(g.name, [r.seed for r in g.runs]) for g in grouped(runs, None)] == [
        ("a", ["1", "2"]),
        ("b", ["1", "10"]),
        ("HEAD", [""]),
    ]
    assert [group.name for group in grouped(runs, "HEAD")] == ["HEAD", "a", "b"]
    assert [group.name for group in grouped(runs, "b-s10")] == ["b", "a", "HEAD"]


def test_with_one_run_on_a_side_the_other_side_is_averaged_and_the_items_are_paired():
    first = {"1": {"p": 1.0, "q": 0.1, "r": 5.0}, "2": {"p": 2.0, "q": 0.2}}
    found = differences.difference(first, {"1": {"p": 3.0, "q": 0.15}}, {"seed": 1, "resamples": 100})
    assert (found["difference"], found["n"]) == (0.75, 2) and "seeds" not in found
    assert differences.difference({}, first, {}) == differences.level(Measure("a", "b", {}), {}, {}) == {}


def test_p_is_adjusted_for_the_number_of_groups():
    found = adjusted({"a": {"p": 0.02, "n": 9}, "b": {"p": 0.03, "n": 9}, "c": {}})
    assert (found["a"]["p"], found["b"]["p"], found["c"]) == (0.04, 0.04, {})


def test_budgets_are_unequal_beyond_a_share_of_the_greater():
    first = Budget(["a"], {"steps": 1.0, "tokens": 100.0, "iterations": 5.0})
    second = Budget(["b"], {"steps": 1.0, "tokens": 95.0, "iterations": 5.3})
    assert conditions.unequal(first, second, 0.05) == ["iterations"]
    assert conditions.unequal(first, Budget(), 0.05) == conditions.unequal(Budget(), first, 0.05) == []


def test_a_run_that_was_measured_otherwise_or_is_no_run_of_its_group_is_told():
    def one(name: str, temperature: float, rules: str, iters: int = 3) -> Revision:
        respond = {"deps": [{"path": "models/adapters/x", "md5": name}], "params": {"params.yaml": {}}}
        respond["params"]["params.yaml"]["respond"] = {"seed": 7, "temperature": temperature}
        judge = {"deps": [{"path": "prompts/judge/rules.yaml", "md5": rules}, {"path": "data/responses/x.jsonl", "md5": name}]}
        arms = {name: {"point": name} for name in ("base", *(["half"] if iters == 4 else []), "x")}
        params = {"arms": arms, "train": {"iters": iters, "seed": 1}} | NO_OTHERS
        lock = {"respond@x": respond, "judge@x": judge, "train@x": {"deps": [], "params": {"params.yaml": {"lora": name}}}}
        return revision(name, params=params, lock=lock, records={"losses": {}})

    first = Group("a", [one("a-s1", 0.7, "r1"), one("a-s2", 0.7, "r1")])
    other = Group("b", [one("b-s1", 0.9, "r2"), one("b-s2", 0.7, "r1", iters=4)])
    assert conditions.notes(first.runs[1], first, first) == []
    assert conditions.notes(other.runs[0], other, first) == [
        "not measured as a: judge (prompts/judge/rules.yaml)",
        "not measured as a: respond (respond.temperature)",
    ]
    assert conditions.notes(other.runs[1], other, first) == [
        "arms that are not compared: half",
        "same group as b-s1, but more than the seed differs: train.iters, arms.half",
    ]


def test_a_differing_param_shows_the_values_of_every_run_of_a_group():
    runs = [("a", {"x": {"seed": 1}, "curriculum": {}}), ("a", {"x": {"seed": 2}, "curriculum": {}}), ("b", {"x": {"seed": 1}})]
    assert conditions.differing(runs) == {"x.seed": {"a": "1, 2", "b": "1"}, "curriculum": {"a": "{}", "b": "–"}}


def test_a_group_whose_answers_ended_otherwise_or_whose_parts_go_opposite_ways_is_no_difference():
    ids = [f"{part}{n}" for part in ("up", "down") for n in range(8)]
    part = {id_: id_.rstrip("0123456789") for id_ in ids}

    def run(name: str, up: float, down: float, cut: int) -> tuple[Revision, dict[str, Measure]]:
        change = {"up": up, "down": down}
        table = {id_: change[part[id_]] + (n % 3) * change[part[id_]] / 10 for n, id_ in enumerate(ids)}
        ended = [Ending(id_, truncated=n < cut, unfinished=False) for n, id_ in enumerate(ids)]
        arms = {arm: {"point": arm} for arm in ("base", "x")}
        one = revision(name, params={"arms": arms} | NO_OTHERS, records={"losses": {}})
        return one, {"judge": Measure("judge", "made", {"x": table}, part, endings={"x": ended})}

    runs = [run("a", 0, 0, 0), run("b-s1", 1, 1, 2), run("b-s2", 1, 2, 2), run("c", 1, -1, 0)]
    told = {one.name: measures for one, measures in runs}
    groups = grouped([one for one, _ in runs], "a")
    found = rows.row(told["a"]["judge"], groups, told, {"seed": 1, "resamples": 200})
    assert wording.finding(found.differences["b"]) == "not comparable (4 of 32 answers of b were truncated, 0 of 16 of a)"
    assert wording.finding(found.differences["c"]) == "mixed: higher for up; lower for down"
    ups = found.parts["up"][1]
    assert wording.finding(ups["b"]) == "not comparable (4 of 16 answers of b were truncated, 0 of 8 of a)"
    assert [wording.finding(found.parts[name][1]["c"]) for name in ("up", "down")] == ["higher", "lower"]
    assert wording.finding(found.parts["down"][1]["b"]) == "higher"


def arms(**points: str) -> dict:
    return {"arms": {name: {"point": point} for name, point in points.items()}} | NO_OTHERS


def test_the_last_arm_is_compared_or_the_one_that_is_asked_for():
    published = arms(base="base", x="x") | {"answers": {"published": {"file": "x.jsonl"}}}
    runs = [revision("a", params=arms(base="base", x="x", y="y")), revision("b", params=published), revision("c", lacks="?")]
    assert [run.arm for run in runs[:2]] == ["y", "x"] and runs[1].about == "the model after step x"
    both = with_arm(runs, "x")
    assert [run.arm for run in both[:2]] == ["x", "x"] and both[2] == runs[2]
    without, chosen, _ = with_arm(runs, "published")
    assert without.lacks == "it has no arm published, only base, x, y" and without.params == {}
    assert chosen.about == "a file of answers, x.jsonl"
    with pytest.raises(InputError, match=r"--arm[^§]*'publshed'[^§]*base, x, y, published[^§]*did you mean 'published'"):
        with_arm(runs, "publshed")


def test_arms_of_earlier_versions_are_points():
    earlier = {"arms": {"final": "x"}, "measure": {"examples": 2}}
    assert in_present_form(earlier) == arms(final="x") | {"measure": {"examples": 2, "in_full": []}}


def test_a_checkpoint_has_its_share_of_the_last_step_and_an_arm_that_is_no_point_has_no_budget():
    done = {"iterations": 8, "epochs": 2.0, "examples": 4, "tokens": 100, "curve": [{"trained_tokens": 80.0}]}
    none = done | {"iterations": 0, "epochs": 0.0, "curve": []}
    tree = {"a": {"after": "base"}, "b": {"after": "a"}}
    params = arms(final="b", early="b/0000002") | {"curriculum": tree, "answers": {"given": {"file": "x.jsonl"}}}

    def spent(arm: str, **training: dict) -> dict:
        return budget(Group("g", [revision("g", params=params, records={"training": training}, chosen=arm)])).spent

    whole = {"steps": 2, "iterations": 16, "examples": 16, "tokens": 400, "loss tokens": 160}
    assert spent("final", a=done, b=done) == whole
    assert spent("early", a=done, b=done) == {"steps": 2, "iterations": 10, "examples": 10, "tokens": 250, "loss tokens": 100}
    assert spent("final", a=done, b=none)["loss tokens"] == 80 and spent("given", a=done, b=done) == {}


# ---- contrasts


def test_a_contrast_pairs_each_run_with_itself_in_every_group_that_has_both_arms():
    """The seeds differ by far more than the two arms, so only pairs show the difference."""
    ids = [f"{part}{n}" for part in ("up", "down") for n in range(8)]
    part = {id_: id_.rstrip("0123456789") for id_ in ids}

    def run(name: str, gain: float, **more: float) -> tuple[Revision, dict[str, Measure]]:
        seed = float(name[-1]) if name[-1].isdecimal() else 0.0
        before = {id_: seed + n / 100 for n, id_ in enumerate(ids)}
        after = {id_: value + gain + (n % 3) / 100 for n, (id_, value) in enumerate(before.items())}
        down = {id_: value + (1 if part[id_] == "up" else -1) * (1 + n / 100) for n, (id_, value) in enumerate(before.items())}
        tables = {"base": before, "installed": before, "pirate": after, "mixed": down}
        ended = {arm: [Ending(id_, truncated=arm == "cut") for id_ in ids] for arm in (*tables, "cut")}
        measures = {"judge": Measure("judge", "made", tables | {"cut": after}, part, endings=ended)}
        measures |= {"probe": Measure("probe", "probe", {"installed": before}, share=True)}
        params = arms(base="base", installed="i", pirate="p", mixed="m", cut="c")
        params["contrasts"] = [["pirate", "installed"], ["mixed", "installed"], ["cut", "installed"]] if gain else []
        return revision(name, params=params, records={"losses": {}}), measures

    runs = [run(f"a-s{seed}", 0.2) for seed in (1, 2, 3)] + [run("b", 0.0)]
    known = {one.name: measures for one, measures in runs}
    groups = grouped([one for one, _ in runs], None)
    measures = list(known["b"].values())
    found = contrasts(measures, groups, known, {"seed": 1, "resamples": 200})
    assert [(one.arm, one.against) for one in found] == [("pirate", "installed"), ("mixed", "installed"), ("cut", "installed")]
    ((m, of_groups),) = found[0].rows  # only one of the arms has the other measure
    assert m.key == "judge" and list(of_groups) == ["a", "b"]
    removed = of_groups["a"]
    assert removed.difference["difference"] == pytest.approx(0.21, abs=0.01) and removed.difference["seeds"] == 3
    assert wording.finding(removed.difference) == "higher" and wording.finding(of_groups["b"].difference) == "higher"
    assert removed.arm["mean"] - removed.against["mean"] == pytest.approx(removed.difference["difference"])
    assert removed.difference["low"] < 0.21 < removed.difference["high"] < 0.25
    mixed, cut = found[1].rows[0][1]["a"].difference, found[2].rows[0][1]["a"].difference
    assert wording.finding(mixed) == "mixed: higher for up; lower for down"
    assert wording.finding(cut) == "not comparable (48 of 48 answers of cut were truncated, 0 of 48 of installed)"
    alone = contrasts(measures, groups[:1], known, {"seed": 1, "resamples": 200})
    assert [list(of) for one in alone for _, of in one.rows] == [["a"]] * 3
    assert alone[0].rows[0][1]["a"].difference["p"] <= removed.difference["p"]
    assert contrasts(measures, groups[1:], known, {"seed": 1, "resamples": 200}) == []
