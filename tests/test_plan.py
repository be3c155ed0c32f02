"""What a plan is made from: DVC's own names for folders and runs, and how long stages took before."""

import pytest
from ruamel.yaml import YAML

from cantica.forecast import UNKNOWN, folder_hash, forecast, run_key
from cantica.plan import plan_text
from cantica.progress import duration
from cantica.timings import estimate, read_timings, timings_text

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
    (valid,) = (dep["md5"] for dep in lock["measure_base"]["deps"] if dep["path"] == "data/valid")
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

    fates = forecast(BUILT, present, cached.split().__contains__, recall, {})
    assert {name: fate.why for name, fate in fates.items() if fate.what == "runs"} == runs


def test_timings_are_read_though_a_line_is_cut(tmp_path):
    file = tmp_path / "timings.jsonl"
    assert read_timings(file) == []
    file.write_text('{"stage": "report", "seconds": 3.0}\n[]\n{"stage": "train@a", "sec')
    assert read_timings(file) == [{"stage": "report", "seconds": 3.0}]


def test_a_stage_takes_as_long_as_last_time_or_as_others_of_its_kind():
    assert estimate(["train@a", "train@new", "report", "fuse"], TIMINGS) == (30.0 + 35.0 + 3.0, ["fuse"])
    assert estimate(["fuse"], []) == (0, ["fuse"])


def test_a_duration_reads_in_its_two_largest_units():
    assert [duration(s) for s in (0.4, 59.6, 125, 12_000)] == ["0 s", "1 min 0 s", "2 min 5 s", "3 h 20 min"]


def test_a_plan_of_nothing_says_so():
    assert plan_text({}) == "everything is up to date"


def test_the_table_of_timings_takes_the_last_run_of_each_stage():
    ran = [("train@a", 90.0, 500), ("train@a", 30.0, 300), ("train@b", 10.0, 400), ("report", 10.0, 80), ("gone", 99.0, 1)]
    records = [{"stage": stage, "seconds": s, "cpu_seconds": 2 * s, "peak_mb": peak} for stage, s, peak in ran]
    head, *rows, _, last = timings_text(["train@a", "train@b", "report", "fuse"], records).splitlines()
    assert head.split() == ["stage", "runs", "seconds", "share", "CPU", "s", "peak", "MB"]
    assert [row.split() for row in rows] == [
        ["train", "2", "40.0", "80%", "80.0", "400"],
        ["report", "1", "10.0", "20%", "20.0", "80"],
    ]
    assert last == "the last run of 3 stages, 50 s; 1 stage never ran here"
    assert timings_text(["fuse"], records) == "no stage ran here yet: `dvc repro`"
