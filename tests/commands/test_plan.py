"""What a plan is made from: DVC's own names for folders and runs, and how long stages took before."""

import json
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cantica.commands.dvc.cache import part_of, run_key
from cantica.commands.dvc.forecast import forecast
from cantica.commands.dvc.graph import makers_of
from cantica.commands.dvc.records import MISSING, UNKNOWN, folder_hash
from cantica.commands.family_plan import family_text, joined
from cantica.commands.plan import Plan, plan_text
from cantica.commands.text import duration
from cantica.commands.timings import estimate, read_timings, timings_text
from cantica.commands.work import Work, examples_in, scaled
from tests.support.projects import edit, ok

TIMINGS = [
    {"stage": "train@a", "seconds": 50.0},
    {"stage": "train@a", "seconds": 30.0},
    {"stage": "train@b", "seconds": 40.0},
    {"stage": "report", "seconds": 3.0},
]


def test_the_run_cache_is_found_under_the_keys_of_what_was_built(two_steps):
    lock = YAML(typ="safe").load((two_steps / "dvc.lock").read_text())["stages"]
    keys = {name: run_key(entry) for name, entry in lock.items()}
    found = {name for name, key in keys.items() if (two_steps / ".dvc/cache/runs" / key[:2] / key).is_dir()}
    # DVC keeps no run of a stage that writes a file which is neither a metric nor in its cache, or one that persists.
    assert set(lock) - found == {"report", "export", "check"}


def test_a_folder_has_the_hash_that_dvc_gives_it(two_steps):
    lock = YAML(typ="safe").load((two_steps / "dvc.lock").read_text())["stages"]
    (valid,) = (dep["md5"] for dep in lock["measure_base@base"]["deps"] if dep["path"] == "data/valid")
    outs = {out["path"]: out["md5"] for entry in lock.values() for out in entry["outs"]}
    files = {path.removeprefix("data/valid/"): md5 for path, md5 in outs.items() if path.startswith("data/valid/")}
    assert folder_hash(files) == folder_hash(dict(reversed(files.items()))) == valid
    assert folder_hash(files | {"one.jsonl": UNKNOWN}) == UNKNOWN


def entry(cmd: str, deps: dict[str, str], outs: dict[str, str]) -> dict:
    def listed(files: dict[str, str]) -> list[dict]:
        return [{"path": path} | ({"md5": md5} if md5 else {}) for path, md5 in files.items()]

    return {"cmd": cmd, "deps": listed(deps), "params": {}, "outs": listed(outs)}


def chain(source: str, written: str, train: str = "", a: str = "", b: str = "") -> dict[str, dict]:
    """Two steps on a file that is written from a source, past a gate."""
    return {
        "write": entry("write", {"prompts/x": source}, {"data/x": written}),
        "audit": entry("audit", {"data/x": written}, {"data/audit/passed.txt": "gate" if written else ""}),
        "train@a": entry("a" + train, {"data/x": written, "data/audit/passed.txt": "gate" if written else ""}, {"models/a": a}),
        "train@b": entry("b", {"models/a": a}, {"models/b": b}),
    }


BUILT = chain("s1", "x1", "", "a1", "b1")
EDITED, LONGER, CLONED = chain("s2", "x1", "", "a1", "b1"), chain("s1", "x1", " longer", "a1", "b1"), chain("s1", "")
AFTER_WRITE = {"audit": "follows write", "train@a": "follows write", "train@b": "follows train@a"}
AFTER_TRAIN = {"train@a": "command", "train@b": "follows train@a"}


@pytest.mark.parametrize(
    ("present", "cached", "recalled", "runs"),
    [
        pytest.param(BUILT, "", {}, {}, id="nothing"),
        pytest.param(EDITED, "x1", {}, {"write": "files: prompts/x"} | AFTER_WRITE, id="an edit"),
        pytest.param(EDITED, "x1", {"write": {"data/x": "x1"}}, {}, id="an edit that was built before"),
        pytest.param(LONGER, "", {}, AFTER_TRAIN, id="a command"),
        pytest.param(LONGER, "a2", {"train@a": {"models/a": "a2"}}, {"train@b": "files: models/a"}, id="another adapter"),
        pytest.param(LONGER, "", {"train@a": {"models/a": "a2"}}, AFTER_TRAIN, id="one that is not in the cache any more"),
        pytest.param(CLONED, "x1 gate a1 b1", {}, {}, id="a clone"),
        pytest.param(
            CLONED, "x1 gate a1", {}, {"train@b": "DVC's cache does not hold its outputs"}, id="a clone without one output"
        ),
    ],
)
def test_a_stage_runs_where_dvc_has_neither_its_record_nor_an_earlier_run(present, cached, recalled, runs):
    def recall(now: dict) -> dict | None:
        name = next(name for name, e in present.items() if e["cmd"] == now["cmd"])
        return entry("", {}, recalled[name]) if name in recalled else None

    found = forecast(BUILT, present, cached.split().__contains__, recall, {}, lambda md5, folder: UNKNOWN)
    assert {name: own.why for name, own in found.items() if own.action == "runs"} == runs


@pytest.mark.parametrize(
    ("present", "remembered", "runs"),
    [
        (("a1", "k1"), {}, {}),
        (("", ""), {"a1": "k1"}, {}),
        (("", ""), {"a1": "k2"}, {"probe@early": "files: models/a/0000002"}),
        (("a1", "k2"), {}, {"probe@early": "files: models/a/0000002"}),
        (("other", "k2"), {"a1": "k1"}, {}),
        (("a1", "k1", " longer"), {}, {"train@a": "command", "probe@early": "follows train@a"}),
    ],
    ids=["nothing", "a clone", "another checkpoint", "not built to the end", "another build on the disk", "an edit"],
)
def test_a_checkpoint_is_known_by_the_folder_of_its_step(present, remembered, runs):
    def build(adapter: str, kept: str, command: str = "") -> dict:
        probe = entry("probe", {"models/a/0000002": kept}, {"data/p": "p1"})
        return {"train@a": entry(f"a{command}", {"data/x": "x1"}, {"models/a": adapter}), "probe@early": probe}

    def part(md5: str, folder: str) -> str:
        assert folder == "0000002"
        return remembered.get(md5, UNKNOWN)

    found = forecast(build("a1", "k1"), build(*present), {"a1", "p1"}.__contains__, lambda now: None, {}, part)
    assert {name: own.why for name, own in found.items() if own.action == "runs"} == runs


def test_stages_that_several_builds_need_count_once():
    def planned(*changes: str) -> Plan:
        present = chain("s2", "x1", *changes)
        found = forecast(BUILT, present, lambda md5: False, lambda now: None, {}, lambda md5, folder: UNKNOWN)
        return Plan(found, {}, makers_of(present))

    plans = {"short": planned(), "again": planned(), "long": planned(" longer")}
    known = {"write": 1.0, "train@a": 10.0, "train@b": 5.0}
    found = joined(plans, dict.fromkeys(plans, known))
    assert found.per_run == {"short": (4, 0), "again": (4, 4), "long": (4, 2)}, "write and audit are those of all"
    assert sorted(found.names.values()) == ["audit", "train@a", "train@a", "train@b", "train@b", "write"]
    assert family_text(found).splitlines() == [
        "run    stages  shared",
        "short       4       0",
        "again       4       4",
        "long        4       2",
        "",
        "12 stages to run, 6 of them distinct; 31 s by earlier timings, without 1 stage of unknown time",
        "with several workers: 16 s with 2, 16 s with 4; no less than 16 s, for write → audit → train@a → train@b",
    ]
    assert family_text(joined({"built": Plan({}, {}, {})}, {"built": {}})) == "nothing to run for 1 run"


def test_the_cache_knows_the_folders_inside_a_folder(tmp_path):
    listed = [{"md5": "11", "relpath": "0000002/x"}, {"md5": "22", "relpath": "0000002/y"}, {"md5": "33", "relpath": "x"}]
    (tmp_path / "files/md5/ab").mkdir(parents=True)
    (tmp_path / "files/md5/ab/cd.dir").write_text(json.dumps(listed))
    part = part_of(tmp_path)
    assert part("abcd.dir", "0000002") == folder_hash({"x": "11", "y": "22"})
    assert (part("abcd.dir", "0000003"), part("ffff.dir", "0000002"), part("abcd", "0000002")) == (MISSING, UNKNOWN, UNKNOWN)


def test_timings_are_read_though_a_line_is_cut(tmp_path):
    file = tmp_path / "timings.jsonl"
    assert read_timings(file) == []
    file.write_text('{"stage": "report", "seconds": 3.0}\n[]\n{"stage": "train@a", "sec')
    assert read_timings(file) == [{"stage": "report", "seconds": 3.0}]


def test_a_stage_takes_as_long_as_last_time_or_as_others_of_its_kind():
    assert estimate(["train@a", "train@new", "report", "fuse"], TIMINGS) == (30.0 + 35.0 + 3.0, ["fuse"])
    assert estimate(["fuse"], []) == (0, ["fuse"])


TRAIN = {"train.iters": 6, "train.batch_size": 2, "train.max_seq_length": 640, "train.launch": None, "lora.layers": 8}
RESPOND = {"respond.samples": 1, "respond.max_tokens": 112}
CATEGORY = {"categories.a.train": 100, "categories.a.valid": 12, "data.seed": 1}


def timing(stage: str, params: dict, base: int | None = 100, prompts: int = 0) -> dict:
    """A record of ten seconds."""
    about = {"base": base} if base else {}
    return {"stage": stage, "seconds": 10.0, "params": params, "lines": {"questions": prompts}} | about


@pytest.mark.parametrize(
    ("stage", "was", "now", "expected"),
    [
        ("train@a", TRAIN, TRAIN, 10.0),
        ("train@a", TRAIN, TRAIN | {"train.iters": 72}, 120.0),
        ("train@a", TRAIN, TRAIN | {"curriculum.a.iters": 12, "train.batch_size": 4}, 40.0),
        ("train@a", TRAIN, TRAIN | {"train.max_seq_length": 320}, 5.0),
        ("train@a", TRAIN, TRAIN | {"lora.layers": 16}, None),
        ("train@a", TRAIN, TRAIN | {"train.launch.processes": 2, "train.launch": 1}, None),
        ("measure@a", {"measure.examples": 2}, {"measure.examples": 8}, 40.0),
        ("respond@a", RESPOND, RESPOND | {"respond.max_tokens": 224}, 20.0),
        ("capability@a", *({"capability.items": n, "capability.max_tokens": 64} for n in (24, 12)), 5.0),
        ("render@a", CATEGORY, CATEGORY | {"categories.a.train": 213}, 20.0),
        ("verdict@a", *({"judges.a.max_tokens": n, "judges.a.by": "mlx"} for n in (10, 20)), 20.0),
        ("verdict@a", *({"judges.a.max_tokens": 10, "judges.a.by": by} for by in ("mlx", "server")), None),
        ("sample@a", *({"samples.a.samples": n, "samples.a.max_tokens": 10} for n in (1, 3)), 30.0),
        ("sample@a", *({"samples.a.samples": 1, "samples.a.max_tokens": 9, "samples.a.from": p} for p in "xy"), None),
        ("respond_server@a", *({"respond.samples": 1, "servers.a.max_tokens": n} for n in (10, 5)), 5.0),
        ("measure_base@base", {"measure.examples": 2}, {"measure.examples": 1}, 5.0),
        ("base", {"base.source": "pypi"}, {"base.source": "hub"}, None),
        ("report", {"report.seed": 1}, {"report.seed": 2}, 10.0),
    ],
)
def test_an_earlier_timing_is_scaled_by_the_work(stage, was, now, expected):
    found = scaled(timing(stage, was, prompts=5), stage, Work(now, 100, 5))
    assert found == (None if expected is None else pytest.approx(expected))


def test_more_prompts_take_longer_and_another_base_takes_nobody_knows_what():
    record = timing("respond@a", RESPOND, prompts=5)
    assert scaled(record, "respond@b", Work(RESPOND, 100, 20)) == pytest.approx(40.0)
    assert [scaled(record, "respond@a", Work(RESPOND, base, 5)) for base in (90, None)] == [None, None]
    assert scaled(TIMINGS[0], "train@a", Work(TRAIN, 100)) is None
    works = {"train@new": Work(TRAIN | {"train.iters": 12}, 100), "respond@a": Work(RESPOND, 90, 5)}
    assert estimate(list(works), [record, timing("train@a", TRAIN)], works) == (20.0, ["respond@a"])


def test_a_sample_takes_as_long_as_it_has_answers():
    params = {"samples.own.samples": 1, "samples.own.max_tokens": 64, "samples.own.batch_size": 8}
    record = timing("sample@own", params) | {"lines": {"prompts": 5, "examples": 3, "held_out": 9}}
    assert scaled(record, "sample@own", Work(params, 100, 10)) == pytest.approx(20.0)
    assert scaled(record, "sample@own", Work(params | {"samples.own.samples": 4}, 100, 10)) == pytest.approx(80.0)


def test_the_examples_of_a_data_file_are_counted_before_it_is_written():
    params = {
        "categories": {"a": {"train": 10}, "b": {"train": 4}},
        "mixes": {"both": {"a": 0.5, "b": 2}},
        "samples": {"own": {"prompts": "mixes/both", "samples": 3}},
        "server_samples": {"again": {"prompts": "samples/own", "samples": 2}},
    }
    data = ("train/a", "mixes/both", "samples/own", "samples/again")
    assert [examples_in(one, params) for one in data] == [10, 13, 39, 78]


def test_a_plan_scales_what_a_build_took(two_steps, tmp_path):
    project = Path(shutil.copytree(two_steps, tmp_path / "project", symlinks=True))
    records = [json.loads(line) for line in (project / ".cache/timings.jsonl").read_text().splitlines()]
    slow = [record | {"seconds": 100.0 if record["stage"].startswith("train@") else 0.0} for record in records]
    (project / ".cache/timings.jsonl").write_text("".join(json.dumps(record) + "\n" for record in slow))
    edit(project / "params.yaml", "  iters: 3", "  iters: 36")
    assert "40 min 0 s by earlier timings" in ok(project, "cantica", "plan")
    edit(project / "params.yaml", "vocab_size: 1024", "vocab_size: 1000")
    text = ok(project, "cantica", "plan")
    assert "by earlier timings; unknown for base, audit, init and 12 more: no timing of comparable work" in text, text


def test_a_duration_reads_in_its_two_largest_units():
    assert [duration(s) for s in (0.4, 59.6, 125, 12_000)] == ["0 s", "1 min 0 s", "2 min 5 s", "3 h 20 min"]


def test_a_plan_of_nothing_says_so():
    assert plan_text(Plan({}, {}, {})) == "everything is up to date"


def test_the_table_of_timings_takes_the_last_run_of_each_stage():
    ran = [("train@a", 90.0, 500), ("train@a", 30.0, 300), ("train@b", 10.0, 400), ("report", 10.0, 80), ("gone", 99.0, 1)]
    records = [{"stage": stage, "seconds": s, "cpu_seconds": 2 * s, "peak_mb": peak} for stage, s, peak in ran]
    head, *rows, _, last = timings_text(["train@a", "train@b", "report", "fuse"], records).splitlines()
    assert head.split() == ["stage", "runs", "seconds", "share", "CPU", "s", "peak", "MB"]
    assert [row.split() for row in rows] == [
        ["train", "2", "40.0", "80%", "80.0", "400"],
        ["report", "1", "10.0", "20%", "20.0", "80"],
    ]
    assert last == "the last run of 3 stages: 50 s; 1 stage never ran here"
    assert timings_text(["fuse"], records) == "no stage has run here yet: `dvc repro` runs them"
