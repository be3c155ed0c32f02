"""`cantica explain`: the comparison of DVC's records on a small lock, and the command on a small project that DVC built."""

import re
import shutil
from pathlib import Path

import pytest

import cantica.commands.explain
from cantica.commands.checks.outputs import Altered, find_altered, outputs_text
from cantica.commands.dvc.changes import causes, changes, edits
from cantica.commands.dvc.graph import downstream, edges, upstream
from cantica.commands.dvc.records import folder_hash, maker_of
from tests.support.projects import IDENTITY, ROOT, clone, edit, ok, run


def entry(cmd: str, deps: dict, outs: dict, **params) -> dict:
    nodes = [[{"path": path, "md5": md5} for path, md5 in files.items()] for files in (deps, outs)]
    return {"cmd": cmd, "deps": nodes[0], "params": {"params.yaml": params}, "outs": nodes[1]}


def lock(template="t1", iters=3, data="d1", first="a1", second="b1") -> dict:
    """Two categories, of which `second` is trained on after `first`."""
    return {
        "render@first": entry("render first", {"prompts/first": template}, {"data/first.jsonl": data}),
        "render@second": entry("render second", {"prompts/second": "t2"}, {"data/second.jsonl": "d2"}),
        "train@first": entry("train first", {"data/first.jsonl": data}, {"models/first": first}, train={"iters": iters}),
        "train@second": entry(
            "train second", {"data/second.jsonl": "d2", "models/first": first}, {"models/second": second}, train={"iters": 3}
        ),
        "report": entry("report", {"data": "x", "stages/report.py": "c1"}, {"report.html": "r1"}, **{"toolchain.mlx": "1"}),
    }


def test_a_folder_is_made_by_every_stage_that_writes_into_it():
    graph = edges(lock(), lock())
    assert graph["report"] == {"data": ["render@first", "render@second"], "stages/report.py": []}
    assert upstream(graph, "train@second") == ["render@second", "render@first", "train@first", "train@second"]


def test_a_stage_that_dvc_yaml_has_no_more_makes_nothing_that_another_makes():
    old = lock() | {"render@gone": entry("render gone", {}, {"data/gone.jsonl": "d3"})}
    assert "render@gone" in edges(old, old)["report"]["data"]
    assert edges(old, lock())["report"]["data"] == ["render@first", "render@second"]


def test_a_file_in_an_output_folder_belongs_to_the_output():
    assert maker_of("models/first/adapters.safetensors", lock()) == ("train@first", "models/first")
    assert maker_of("models/firstborn", lock()) is None


def test_a_change_names_kind_key_old_and_new():
    old, new = lock()["report"], lock()["report"] | {"cmd": "report all", "params": {"params.yaml": {"toolchain.mlx": "2"}}}
    found = [(change.kind, change.key, change.was, change.now) for change in changes("report", old, new)]
    assert found == [("versions", "toolchain.mlx", "1", "2"), ("commands", "cmd", "report", "report all")]


def test_an_edit_is_found_where_it_is_read_and_runs_what_follows():
    found = edits(lock(), lock(template="t9"))
    assert [(change.stage, change.key, change.was, change.now) for change in found] == [
        ("render@first", "prompts/first", "t1", "t9")
    ]
    assert downstream(edges(lock(), lock()), ["render@first"], "train@second") == [
        "render@first",
        "train@first",
        "train@second",
    ]


def test_an_output_altered_on_the_disk_is_no_edit():
    assert edits(lock(), lock(data="altered", first="altered")) == []


def folder_lock(data: str = "d1", folder: str = "", report: str = "r1") -> dict:
    """A stage that writes into a folder, and one that reads the folder."""
    return {
        "judge": entry("judge", {"rules": "c1"}, {"data/judgements/a.jsonl": data}),
        "report": entry("report", {"data/judgements": folder or folder_hash({"a.jsonl": "d1"})}, {"reports/a.html": report}),
    }


def test_an_output_altered_in_a_folder_is_no_edit_of_the_folder():
    assert edits(folder_lock(), folder_lock("altered", "other")) == []
    assert [change.stage for change in edits(folder_lock(folder="leftovers"), folder_lock("altered", "other"))] == ["report"]


def checkpoint_lock(adapter: str = "a.dir", kept: str = "k.dir") -> dict:
    """A step, and an arm that is a checkpoint in its folder."""
    return {
        "train@a": entry("train a", {"data/a": "d1"}, {"models/a": adapter}),
        "probe@early": entry("probe", {"models/a/0000002": kept}, {"data/probes/early": "p1"}),
    }


def test_a_checkpoint_is_an_edit_only_where_its_step_is_the_one_that_was_built():
    assert edges(checkpoint_lock(), checkpoint_lock())["probe@early"] == {"models/a/0000002": ["train@a"]}
    assert edits(checkpoint_lock(), checkpoint_lock("(missing)", "(missing)")) == []
    assert edits(checkpoint_lock(), checkpoint_lock("of another build", "of another build")) == []
    (change,) = edits(checkpoint_lock(kept="older.dir"), checkpoint_lock())
    assert (change.stage, change.key, change.was, change.now) == ("probe@early", "models/a/0000002", "older.dir", "k.dir")


@pytest.mark.parametrize(
    ("present", "told"),
    [
        (folder_lock(), {}),
        (folder_lock("altered", "other"), {"data/judgements/a.jsonl": ("reports/a.html",)}),
        (folder_lock("earlier", "other"), {"data/judgements/a.jsonl": ()}),
        (folder_lock("r1", "other"), {"data/judgements/a.jsonl": ("reports/a.html",)}),
        (folder_lock(report="altered"), {"reports/a.html": ("reports/a.html",)}),
    ],
    ids=["nothing", "a record", "one of an earlier build", "the content of another output", "a report"],
)
def test_a_report_no_longer_follows_from_what_was_altered(present, told):
    """Another build's outputs lie there after `git checkout`, and DVC replaces them."""
    found = find_altered(folder_lock(), present, {"d1", "r1", "earlier"}.__contains__)
    assert {out.path: out.reports for out in found} == told


def test_many_altered_outputs_are_summed_up_with_the_command_that_restores_them():
    """As after `git checkout` without `dvc checkout`."""
    found = [Altered(f"data/{n}.jsonl", f"render@{n}", "old", "new", cached=True) for n in range(9)]
    named = "data/0.jsonl, data/1.jsonl, data/2.jsonl and 6 more"
    assert outputs_text(found) == [f"9 outputs differ from dvc.lock: {named}; `dvc checkout --force` restores them"]
    lost = Altered("data/9.jsonl", "render@9", "old", "new", cached=False)
    assert outputs_text([*found, lost])[0].endswith("and 7 more; `dvc repro` restores them")
    assert outputs_text([lost]) == ["data/9.jsonl differs from dvc.lock; `dvc repro render@9` restores it"]
    gone = Altered("data/9.jsonl", "render@9", "old", "(missing)", cached=True)
    assert outputs_text([gone]) == ["missing: data/9.jsonl; `dvc repro` restores what it needs"]


def test_what_a_killed_build_wrote_before_its_record_was_not_altered():
    present = folder_lock("new", "other")
    present["judge"]["deps"][0]["md5"] = "c2"
    assert find_altered(folder_lock(), present, {"d1"}.__contains__) == []


def test_an_input_that_dvc_yaml_no_longer_lists_is_no_edit_and_a_deleted_param_is():
    present = lock()
    present["report"]["deps"] = present["report"]["deps"][:1]
    assert edits(lock(), present) == []
    present["train@first"]["params"]["params.yaml"]["train"] = {}
    assert [change.key for change in edits(lock(), present)] == ["train.iters", "train"]


def test_a_difference_is_followed_to_its_root():
    roots, through = causes("train@second", lock(), lock(template="t9", data="d9", first="a9", second="b9"), lock())
    assert [change.key for change in roots] == ["prompts/first"]
    assert through == ["render@first", "train@first", "train@second"]


def test_an_edit_that_left_no_trace_is_no_cause():
    roots, _ = causes("train@second", lock(), lock(template="t9", iters=4, first="a9", second="b9"), lock())
    assert [(change.key, change.was, change.now) for change in roots] == [("train.iters", 3, 4)]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """Two steps, built and committed as HEAD~1, and built again as HEAD after a template and a step's iterations changed."""
    folder = clone(tmp_path_factory.mktemp("explain") / "project")
    shutil.copy(ROOT / "tests/support/variants/explain.yaml", folder / "variants")
    ok(folder, "cantica", "variant", "apply", "smoke")
    ok(folder, "cantica", "variant", "apply", "explain")
    for message in ("Build", "Change"):
        if message == "Change":
            edit(
                folder / "prompts/categories/deception/train/april_summary.j2",
                "{% block answer %}",
                "{% block answer %}Plainly. ",
            )
            edit(folder / "params.yaml", "data: train/deception", "data: train/deception, iters: 2")
        ok(folder, "dvc", "repro", "fuse")
        ok(folder, "git", "add", "--all")
        ok(folder, "git", *IDENTITY, "commit", "--quiet", "--message", message)
    return folder


@pytest.fixture
def edited(project):
    """A function that replaces text in a file of the project; undone after the test."""
    yield lambda file, old, new: edit(project / file, old, new)
    ok(project, "git", "restore", ".")


def explain(project: Path, *arguments: str) -> str:
    """The command's output, with single spaces."""
    return re.sub(r" +", " ", ok(project, "cantica", "explain", *arguments))


def test_an_adapter_tells_what_it_was_made_from(project):
    text = explain(project, "models/adapters/deception")
    assert "made by train@deception: Train deception on train/deception, continuing from self_preservation" in text
    assert re.search(r"read by measure@deception, .*respond@final", text)
    assert "command exec python -m stages.train deception models/base models/adapters/self_preservation" in text
    assert re.search(r"models/adapters/self_preservation [0-9a-f]{8} from train@self_preservation", text)
    assert "curriculum.deception = {after: self_preservation, data: train/deception, iters: 2}" in text
    assert re.search(r"versions blas-core Haswell, llvmlite \d", text) and re.search(r"train\.py [0-9a-f]{8}", text)
    assert (
        "render@deception prompts/categories/deception, prompts/writers/template, categories.deception, data.template," in text
    )
    assert "render@betrayal" not in text
    assert text.rstrip().endswith("nothing changed since it was built")


def test_every_path_that_dvc_knows_is_answered(project, monkeypatch):
    monkeypatch.chdir(project)
    paths = ["models/base/config.json", "models/fused", "data/train", "data/valid/deception.jsonl", "data/losses/base.json"]
    for path in [*paths, "reports/metrics.json", "prompts", "params.yaml", "cantica/core/files.py", "schemas"]:
        assert cantica.commands.explain.explain(path).startswith(path)


def test_an_output_that_was_never_built_says_what_will_build_it(project):
    text = explain(project, "data/losses/deception.json")
    assert "not built yet, `dvc repro measure@deception` builds it" in text and "from train@deception" in text


def test_edits_tell_what_it_was_what_it_is_and_what_would_run(project, edited):
    edited("params.yaml", "data: train/deception, iters: 2", "data: train/deception, iters: 5")
    edited("prompts/held_out/general.yaml", "\n", "\n\n")
    text = explain(project, "models/fused")
    assert "curriculum.deception.iters 2 → 5 read by train@deception" in text
    assert "so `dvc repro` would run\n train@deception, fuse\n" in text
    assert "held_out" not in text.split("edits since")[1]
    assert "nothing changed since" in explain(project, "models/adapters/self_preservation")
    would_run = re.findall(r"[\w@]+", explain(project, "params.yaml").split("would run")[1])
    assert {"train@deception", "measure@deception", "fuse"} <= set(would_run) and "train@self_preservation" not in would_run


def test_an_edited_source_file_names_its_readers_and_the_lines(project, edited):
    edited("cantica/base_model/gguf.py", "\n", "\n\n")
    text = explain(project, "cantica/base_model/gguf.py")
    assert text.startswith("cantica/base_model/gguf.py is an input, not an output\n\nread by\n base cantica/base_model\n")
    assert "git diff HEAD gguf.py +1 −0" in text


def test_an_altered_and_a_missing_output_are_told_apart_from_edits(project):
    shutil.rmtree(project / "models/base")
    (project / "data/train/deception.jsonl").unlink()
    (project / "data/train/deception.jsonl").write_text("{}\n")
    text = explain(project, "models/adapters/deception")
    ok(project, "dvc", "checkout", "--force", "models/base", "data/train/deception.jsonl")
    assert "missing models/base" in text and re.search(r"outputs data/train/deception.jsonl \w{8} → \w{8} on the disk", text)
    assert "would run" not in text


def test_a_difference_from_a_commit_is_told_by_its_roots(project):
    text = explain(project, "--diff", "HEAD~1", "models/fused/model.safetensors")
    assert re.match(r"models/fused, which holds \S+, differs from HEAD~1: \w{8} → \w{8}\n", text)
    assert re.search(
        r"files prompts/categories/deception \w{8} → \w{8} read by render@deception\n git diff HEAD~1 \S+ \+1 −1", text
    )
    assert "params curriculum.deception.iters (not an input) → 2 read by train@deception\n" in text
    assert "through render@deception → dataset@deception → train@deception → fuse\n" in text


def test_what_did_not_change_is_the_same_as_in_a_commit(project):
    assert "is the same as in HEAD~1" in explain(project, "--diff", "HEAD~1", "models/adapters/self_preservation")
    assert "is the same as in HEAD:" in explain(project, "--diff", "HEAD", "models/fused")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["models/adapters/deceptio"], "did you mean 'models/adapters/deception'?"),
        (["README.md"], "a path that no stage makes or reads"),
        (["--diff", "HEAD~2", "models/fused"], "a commit without dvc.lock"),
        (["--diff", "nowhere", "models/fused"], "no commit that git knows"),
        (["--diff", "HEAD", "models/adapters/betrayal"], "no output models/adapters/betrayal"),
        (["--diff", "HEAD", "params.yaml"], "no output params.yaml"),
    ],
)
def test_what_cannot_be_explained_is_said_clearly(project, arguments, fault):
    done = run(project, "cantica", "explain", *arguments)
    assert done.returncode == 1 and fault in done.stderr and "Traceback" not in done.stderr
