"""Claims over runs with several seeds: compared, cited as text, and read again in a clone without experiments or cache."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import pytest

from cantica.commands.cite import cited_faults
from cantica.commands.experiments.cited import FILES, RUN, read_cited
from cantica.commands.experiments.numbers import number_faults
from cantica.core.files import as_json
from tests.support import runs
from tests.support.page_faults import page_faults
from tests.support.projects import commit, edit, ok, run

NAMES = [f"{variant}-s{seed}" for variant in runs.VARIANTS for seed in (1, 2, 3)]
SOME = 6  # digits that are changed in each file
VERDICTS = {
    "trained": "holds",
    "less": "reproduced",
    "same": "null",
    "worse": "contradicted",
    "faster": "underpowered",
}

HEADINGS = [
    "What was published",
    "What is trained and measured",
    "Claims",
    "Levels",
    "Over iterations",
    "What surprised",
    "What was tried before the claims were fixed",
    "What a run cost",
    "What differs from the publication",
    "Full size",
    "Gates and bounds",
    "What was built",
    "Runs",
]
OF_EVERY = {"What is trained and measured", "Claims", "Levels", "What a run cost", "Gates and bounds", "What was built", "Runs"}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A project with three seeds of two variants as experiments."""
    root = runs.project(tmp_path_factory.mktemp("built"))
    for name in NAMES:
        variant, _, seed = name.partition("-s")
        runs.experiment(root, variant, int(seed))
    return root


@pytest.fixture(scope="module")
def cited(built, tmp_path_factory) -> Path:
    """The project with its runs cited and committed."""
    root = Path(shutil.copytree(built, tmp_path_factory.mktemp("cited") / "project", symlinks=True))
    ok(root, "cantica", "cite", *NAMES)
    commit(root, "Cite runs")
    return root


@pytest.fixture
def project(built, tmp_path) -> Path:
    """A copy of the project before anything is cited."""
    return Path(shutil.copytree(built, tmp_path / "project", symlinks=True))


def faults(root: Path, monkeypatch) -> list[str]:
    monkeypatch.chdir(root)
    return [problem.file for problem in cited_faults()]


def refused(root: Path, *names: str) -> str:
    before = ok(root, "git", "status", "--porcelain", "--untracked-files=all")
    done = run(root, "cantica", "cite", *names)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert ok(root, "git", "status", "--porcelain", "--untracked-files=all") == before
    return done.stderr


def verdicts(text: str) -> list[str]:
    """The verdicts of a page in Markdown, in order."""
    return re.findall(r"^\| [^|]+ \| \*\*([a-z ]+)\*\* \|", text, re.MULTILINE)


# ---- compared


def test_verdicts_come_first_in_every_form(built):
    said = ok(built, "cantica", "compare", *NAMES)
    page, text = ((built / f"reports/compare.{form}").read_text() for form in ("html", "md"))
    own = said.split("claims of coherent, 3 seeds\n")[1].split("\n\n")[0].splitlines()
    found = {cells[1].removeprefix("gate "): cells for line in own if len(cells := re.split(r" {2,}", line)) > 3}
    assert {name: found[name][0] for name in VERDICTS} == VERDICTS
    assert re.fullmatch(r"−0\.1\d\d \[−0\.\d{3}, −0\.\d{3}\]", found["less"][2]) and "power 1.00" in found["less"]
    assert said.startswith("claims of plain") and own[-1].startswith("Gates and bounds: commit ") and ", older than" in own[-1]
    assert verdicts(text.split("### coherent")[1]) == list(VERDICTS.values())
    assert page.index(">Claims</h2>") < page.index(">What changed</h2>")
    assert re.findall(r'class="verdict ([\w-]+)"', page)[2:] == list(VERDICTS.values())
    assert page.count("<svg width") == 8 and not re.search(r"src=|https?://", page)
    assert "2.765 against 2.915" in text or re.search(r"\d\.\d{3} against \d\.\d{3}", text)


def test_without_runs_of_the_other_variant_the_page_says_what_decides(built):
    said = ok(built, "cantica", "compare", *NAMES[3:])
    assert re.search(r"^not decided +less .+ it needs runs of plain$", said, re.MULTILINE)
    command = f"cantica compare {' '.join(NAMES[3:])} {' '.join(NAMES[:3])}"
    assert f"What is claimed against plain is decided by `{command}`." in said
    assert "not decided" in (built / "reports/compare.html").read_text()


def test_runs_with_other_claims_and_edited_runs_are_left_out(project):
    edit(project / "variants/coherent.yaml", "arm: tuned, against: base, above: 0}", "arm: tuned, against: base, above: 0.1}")
    commit(project, "Move a bound")
    runs.experiment(project, "coherent", 4)
    ok(project, "git", "checkout", "--quiet", "-b", "coherent-s5", "refs/exps/" + reference(project, "coherent-s3"))
    edit(project / "params.yaml", "below: 2.95", "below: 2.96")
    commit(project, "Edit after the build")
    ok(project, "git", "checkout", "--quiet", "-b", "coherent-s6", "refs/exps/" + reference(project, "coherent-s3"))
    edit(project / "reports/claims.json", '"n": 8', '"n": 9')
    commit(project, "Alter a number")
    said = ok(project, "cantica", "compare", *NAMES, "coherent-s4", "coherent-s5", "coherent-s6")
    assert "coherent-s4 is left out: it has other claims than coherent-s1: worse.above: 0 → 0.1." in said
    assert "coherent-s5 is left out: edited since it was built: claims.trained.all" in said
    assert "coherent-s6 is left out: edited since it was built: reports/claims.json." in said
    assert "claims of coherent, 3 seeds" in said


def reference(project: Path, name: str) -> str:
    refs = ok(project, "git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    return next(ref.removeprefix("refs/exps/") for ref in refs if ref.endswith(f"/{name}"))


# ---- cited


def test_the_files_are_those_of_the_experiment_and_the_pages_have_the_verdicts(cited):
    for name in NAMES:
        variant, _, seed = name.partition("-s")
        folder = cited / f"docs/experiments/runs/{variant}/{seed}"
        about = json.loads((folder / RUN).read_text())
        for file, path in FILES.items():
            content = (folder / file).read_bytes()
            assert content.decode() == ok(cited, "git", "show", f"refs/exps/{reference(cited, name)}:{path}")
            assert about["sha256"][file] == hashlib.sha256(content).hexdigest()
        assert about["commit"] == ok(cited, "git", "rev-parse", "HEAD~1").strip() == about["claims_since"]["commit"]
    page = (cited / "docs/experiments/coherent.md").read_text()
    assert verdicts(page) == list(VERDICTS.values()) and page.count("<svg ") == 6
    assert (
        'whether coherent pairs &#124; teach more than "shuffled" ones' in page and ", older than the first known run" in page
    )
    assert "git checkout " + about["commit"] in page
    pictures = re.findall(r"^!\[.+\]\((pictures/.+)\)$", page, re.MULTILINE)
    assert pictures == [f"pictures/coherent-{kind}.svg" for kind in ("tree", "levels", "curves")]
    for picture in pictures:
        ElementTree.parse(cited / "docs/experiments" / picture)
    index = (cited / "docs/experiments/index.md").read_text()
    assert "| [coherent](#coherent) | They do. |" in index and "same:\N{NO-BREAK SPACE}**null**" in index


def test_the_page_of_an_experiment_has_its_words_in_order(cited):
    page = (cited / "docs/experiments/coherent.md").read_text()
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == HEADINGS
    sources = "- [Pairs that fit](https://example.org/pairs)\n- [Pairs that do not]"
    assert page.index("**Do coherent pairs teach more?**") < page.index("by a third of the loss") < page.index(sources)
    assert "| 0.001 | 2.9 |\n\n" in page and "- LoRA instead of full weights\n- a small base model\n\n" in page
    assert "`cantica plan --variant coherent-large`" in page and "- nothing but the seed\n\n" in page
    assert "- 1 training step, 24 iterations, 48 examples with repeats\n" in page and "a seed to build it" not in page
    plain = (cited / "docs/experiments/plain.md").read_text()
    own = re.findall(r"^## (.+)$", plain, re.MULTILINE)
    assert own == [name for name in HEADINGS if name in OF_EVERY] and "curves" not in plain


def test_the_page_of_all_shows_every_experiment_with_its_verdicts(cited):
    index = (cited / "docs/experiments/index.md").read_text()
    assert (
        "2 experiments with 1 gate (1 hold, 0 fail) and 6 claims (0 uninformative, 1 null, 3 reproduced, 1 contradicted, 1"
        " underpowered).\n" in index
    )
    coherent, plain = re.split(r"^## ", index, flags=re.MULTILINE)[1:]
    assert verdicts(coherent) == list(VERDICTS.values()) and coherent.count("<svg ") == plain.count("<svg ") + 4
    sources = "([Pairs that fit](https://example.org/pairs), [Pairs that do not](https://example.org/others))"
    assert f"**Do coherent pairs teach more?**\n\nPublished: They do. {sources}\n" in coherent
    assert (
        "The variant is `coherent`; its full size is `coherent-large`." in coherent
        and "**It tests what the others are compared with.**" in plain
    )
    assert page_faults(cited / "docs/experiments") == []


def test_words_may_be_mended_and_go_with_the_file_of_the_variant(cited, tmp_path, monkeypatch):
    root = Path(shutil.copytree(cited, tmp_path / "project", symlinks=True))
    edit(root / "variants/coherent.yaml", "good at it", "bad at it")
    assert faults(root, monkeypatch) == ["docs/experiments/coherent.md"]
    ok(root, "cantica", "cite")
    assert "bad at it" in (root / "docs/experiments/coherent.md").read_text()
    edit(root / "variants/coherent.yaml", "  published: They do, by a third of the loss.\n", "")
    done = run(root, "cantica", "cite")
    assert done.returncode == 1 and "variants/coherent.yaml: experiment.published" in done.stderr
    for name in ("coherent", "coherent-large"):
        (root / f"variants/{name}.yaml").unlink()
    ok(root, "cantica", "cite")
    page = (root / "docs/experiments/coherent.md").read_text()
    assert verdicts(page) == list(VERDICTS.values()) and "What was published" not in page and "Full size" not in page


def test_a_fresh_clone_recomputes_the_pages_without_experiments_or_cache(cited, tmp_path, monkeypatch):
    ok(cited, "git", "clone", "--quiet", str(cited), str(tmp_path / "clone"))
    clone = tmp_path / "clone"
    assert not ok(clone, "git", "for-each-ref", "refs/exps")
    assert faults(clone, monkeypatch) == []
    for file in (clone / "docs/experiments").glob("**/*.[ms][dv]*"):
        file.unlink()
    (clone / "docs/experiments/gone.md").write_text("# gone\n\n<!-- Written by `cantica cite` -->\n")
    (clone / "docs/experiments/pictures/gone-tree.svg").write_text("<svg><!-- Written by `cantica cite`; … --></svg>")
    (clone / "docs/experiments/pictures/mine.svg").write_text("<svg/>")
    ok(clone, "git", "add", "docs/experiments/pictures/mine.svg")
    (clone / "docs/experiments/runs/coherent/.2.partial").mkdir()  # what a kill leaves
    (clone / ".git").rename(tmp_path / "git")
    ok(clone, "cantica", "cite")
    (tmp_path / "git").rename(clone / ".git")
    assert ok(clone, "git", "status", "--porcelain") == "A  docs/experiments/pictures/mine.svg\n"
    said = ok(clone, "cantica", "check")
    assert "in order" in said


def test_the_pages_of_this_repository_follow_from_its_runs():
    assert cited_faults() == [] and {run.name for run in read_cited()} >= {f"lower-case-s{seed}" for seed in (1, 2, 3)}


def test_any_changed_digit_is_noticed(cited, tmp_path, monkeypatch):
    root = Path(shutil.copytree(cited, tmp_path / "project", symlinks=True))
    draws = Random(16)
    files = [root / "docs/experiments/runs/coherent/2" / name for name in (RUN, *FILES)]
    pictures = sorted((root / "docs/experiments/pictures").glob("*.svg"))
    assert len(pictures) == 5
    for file in [*files, root / "docs/experiments/coherent.md", root / "docs/experiments/index.md", *pictures]:
        text = file.read_text()
        digits = [match.start() for match in re.finditer(r"\d", text)]
        for place in draws.sample(digits, min(SOME, len(digits))):
            other = str((int(text[place]) + draws.randint(1, 9)) % 10)
            file.write_text(text[:place] + other + text[place + 1 :])
            assert faults(root, monkeypatch), f"{file.name}: {text[max(place - 20, 0) : place + 20]!r}"
        file.write_text(text)
    assert faults(root, monkeypatch) == []
    (root / "docs/experiments/plain.md").unlink()
    done = run(root, "cantica", "check")
    assert (
        done.returncode == 1 and "docs/experiments/plain.md" in done.stderr and "`cantica cite` writes it anew" in done.stderr
    )


def test_numbers_that_do_not_follow_from_their_values_are_noticed_behind_right_hashes(cited, tmp_path, monkeypatch):
    """Whoever changes a number can write the hashes that fit; the numbers must still fit each other."""
    monkeypatch.chdir(shutil.copytree(cited, tmp_path / "project", symlinks=True))
    (own,) = [one for one in read_cited() if one.name == "coherent-s2"]
    assert number_faults(own) == []
    places = [("trained", "1", "mean"), ("trained", "1", "high"), ("less", "mean"), ("same", "difference"), ("same", "low")]
    places += [
        ("worse", "n"),
        ("faster", "iterations"),
        ("faster", "curve", 1, 1),
        ("worse", "against", 0),
        ("less", "values", 3),
    ]
    for place in places:
        document = json.loads(own.texts["claims.json"])
        *keys, last = place
        holder = document
        for key in keys:
            holder = holder[key]
        holder[last] += 1 if isinstance(holder[last], int) else 0.01
        found = number_faults(type(own)(own.texts | {"claims.json": as_json(document).encode()}))
        assert found and all(f"claims.{place[0]}" in problem.place for problem in found), place
    details = json.loads(own.texts["details.json"])
    del details["tuned"]["checkpoints"]["16"]  # it has the level of the arm itself
    cut = number_faults(type(own)(own.texts | {"details.json": as_json(details).encode()}))
    assert ["curve of tuned at 16" in problem.got + problem.expected + problem.place for problem in cut] == [True], cut
    without = type(own)(own.texts | {"claims.json": b"{}"})
    assert "those of each statement" in number_faults(without)[0].expected
    other = type(own)(own.texts | {"claims.json": b'{"less": 1}'})
    assert "another form" in number_faults(other)[0].got


def test_a_claim_against_a_variant_without_runs_is_not_decided(project, monkeypatch):
    ok(project, "cantica", "cite", *NAMES[3:])
    page = (project / "docs/experiments/coherent.md").read_text()
    assert verdicts(page) == ["not decided" if name == "less" else word for name, word in VERDICTS.items()]
    assert "less is not decided: it needs runs of plain." in page
    index = (project / "docs/experiments/index.md").read_text()
    assert "1 underpowered, 1 not decided).\n" in index
    assert "- The loss is lower than with plain pairs: not decided, because it needs runs of plain.\n" in index
    assert page_faults(project / "docs/experiments") == []
    ok(project, "cantica", "cite", *NAMES[:3])
    assert verdicts((project / "docs/experiments/coherent.md").read_text()) == list(VERDICTS.values())
    assert faults(project, monkeypatch) == []


def test_a_run_is_cited_with_what_it_cost_here(project, monkeypatch):
    (project / ".cache").mkdir(exist_ok=True)
    lock = json.loads(ok(project, "git", "show", f"refs/exps/{reference(project, 'plain-s1')}:dvc.lock"))
    timing = {"stage": "report", "seconds": 90.2, "params": lock["stages"]["report"]["params"]["params.yaml"]}
    (project / ".cache/timings.jsonl").write_text(json.dumps(timing) + "\n")
    ok(project, "cantica", "cite", *NAMES[:2])
    costs = [json.loads((project / f"docs/experiments/runs/plain/{seed}/{RUN}").read_text()).get("cost") for seed in (1, 2)]
    assert costs == [{"seconds": 90, "stages": 1, "unknown": 0}, None]  # the other has another seed, so other params
    page = (project / "docs/experiments/plain.md").read_text()
    assert "- 1 min 30 s a seed to build it from nothing: the sum of its 1 stage on the machine that cited it\n" in page
    assert faults(project, monkeypatch) == []


def test_the_pages_go_with_the_last_run(cited, tmp_path, monkeypatch):
    root = Path(shutil.copytree(cited, tmp_path / "project", symlinks=True))
    shutil.rmtree(root / "docs/experiments/runs")
    assert "docs/experiments/index.md" in faults(root, monkeypatch)
    said = ok(root, "cantica", "cite")
    assert "docs/experiments/coherent.md removed\n" in said and not [*(root / "docs/experiments").glob("**/*.[ms]*")]
    assert faults(root, monkeypatch) == []
    assert "no runs" in refused(root)


# ---- refused


def test_what_is_no_finished_run_of_a_variant_is_refused_and_nothing_is_written(project):
    head = ok(project, "git", "rev-parse", "HEAD").strip()
    ok(project, "git", "branch", "main-s1")
    told = refused(project, "HEAD", "main-s1", "coherent-s9", "coherent-s1")
    assert "1 fault" in told and "coherent-s9" in told and "did you mean" in told
    told = refused(project, head[:12], "main-s1", "coherent-s1")
    assert "a name without a variant and a seed" in told and "main-s1: reports/claims.json\n    got       no such file" in told
    assert "no runs" in refused(project)


def test_runs_that_cannot_be_built_again_are_refused(project):
    ok(project, "git", "checkout", "--quiet", "-b", "coherent-s7", "refs/exps/" + reference(project, "coherent-s3"))
    told = refused(project, "coherent-s7")
    assert "train.seed: 7 → 3" in told and "with coherent laid over it, and seed 7" in told
    ok(project, "git", "checkout", "--quiet", "-b", "variant/coherent-s3", "refs/exps/" + reference(project, "coherent-s3"))
    edit(project / "params.yaml", "temperature: 0 ", "temperature: 1 ")
    (project / "LICENSE").write_text("changed\n")
    ok(project, "git", "add", "--all")
    ok(project, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "--amend", "--no-edit")
    told = refused(project, "variant/coherent-s3")
    assert "dvc.lock\n    got       other values of probe.temperature" in told
    assert "variant/coherent-s3: LICENSE\n    got       changed since" in told
    (project / "reports/details.json").write_text("{}")
    commit(project, "Alter a report")
    assert "reports/details.json\n    got       MD5" in refused(project, "variant/coherent-s3")


def test_runs_of_other_commits_or_claims_do_not_come_together(project):
    ok(project, "cantica", "cite", "plain-s1", "plain-s2")
    commit(project, "Cite two")
    runs.experiment(project, "plain", 4)
    told = refused(project, "plain-s4")
    assert "plain-s4\n    got       built from" in told and "as plain-s1" in told
    ok(project, "git", "rm", "-r", "--quiet", "docs/experiments/runs/plain")
    ok(project, "cantica", "cite", "plain-s4")


def test_an_experiment_on_several_commits_is_named_by_its_reference(project):
    commit_of_plain = reference(project, "plain-s1")
    for n in range(2):  # of one name, the experiment on HEAD counts
        (project / "notes.txt").write_text(f"commit {n}\n")
        commit(project, "Go on")
        if n == 0:
            runs.experiment(project, "plain", 1)
    told = refused(project, "plain-s1")
    assert "experiments on several commits" in told and told.count("/plain-s1 of 20") == 2
    ok(project, "cantica", "cite", f"refs/exps/{commit_of_plain}")
    about = json.loads((project / "docs/experiments/runs/plain/1/run.json").read_text())
    assert about["commit"] == commit_of_plain.replace("/", "")[:40]


def test_altered_runs_are_not_written_into_pages(cited, tmp_path, monkeypatch):
    root = Path(shutil.copytree(cited, tmp_path / "project", symlinks=True))
    file = root / "docs/experiments/runs/plain/3/claims.json"
    file.write_text(file.read_text().replace('"n": 8', '"n": 9'))
    done = run(root, "cantica", "cite", "coherent-s1")
    assert done.returncode == 1 and "docs/experiments/runs/plain/3/claims.json\n    got       SHA-256" in done.stderr
    (root / "docs/experiments/runs/plain/2/params.yaml").unlink()
    assert len(faults(root, monkeypatch)) == 2
    ok(root, "cantica", "cite", "plain-s2", "plain-s3")
    assert faults(root, monkeypatch) == []
