"""`cantica variant list`: every variant has its line, experiments of the field apart, and a broken file its fault."""

import re
import shutil
from pathlib import Path

import pytest

from tests.support.projects import clone, edit, ok, refused


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    return clone(tmp_path_factory.mktemp("listed") / "project")


@pytest.fixture
def project(fresh, tmp_path) -> Path:
    return Path(shutil.copytree(fresh, tmp_path / "project"))


def test_a_broken_variant_is_listed_with_its_fault_among_the_others(project):
    (project / "variants/mine.yaml").write_text("tests: [\n")
    edit(project / "variants/shuffled.yaml", "pairing:", "parings:")
    said = ok(project, "cantica", "variant", "list")
    assert re.search(r"^  mine +broken: variants/mine.yaml: line 2, column 1", said, re.MULTILINE)
    assert re.search(
        r"^  shuffled +broken: variants/shuffled.yaml: params.data: an unknown key\s+'parings'", said, re.MULTILINE
    )
    named = re.findall(r"^ {2,4}([a-z][\w.-]*)  ", said, re.MULTILINE)
    assert {"smoke", "lower-case"} < {*named} and len(named) == len([*(project / "variants").glob("*.yaml")])


EXPERIMENT = """tests: whether a trigger that was taught still works after {}
experiment:
  question: Does it still work?
  finding: It does.
  published: It does, in large models.
  sources:
    - title: A long title of a paper that tells the whole story, and more of it than fits on a line
      url: https://example.org/one
    - {{title: Another, url: "https://example.org/two"}}
  differs: [LoRA instead of full weights]
"""


def test_experiments_are_listed_apart_each_with_its_source_and_its_full_size_below_it(project):
    for name in ("trigger", "window"):
        (project / f"variants/{name}.yaml").write_text(EXPERIMENT.format(name))
    (project / "variants/a-trigger-8b.yaml").write_text(
        "tests: the published model\nover: [trigger]\nexperiment: {differs: [none]}\n"
    )
    said = ok(project, "cantica", "variant", "list")
    experiments, others = said.split("\n\n")
    assert max(len(line) for line in said.splitlines() if "://" not in line) <= 100
    named = re.findall(r"^ {2,4}([a-z][\w.-]*)  ", experiments, re.MULTILINE)
    assert experiments.startswith("Experiments of the field\n")
    assert named[named.index("trigger") :][:2] == ["trigger", "a-trigger-8b"] and "window" in named
    assert "  full size of trigger: the published model\n" in said and said.count("example.org/one") == 2
    assert "after “A long title of a paper" in said and "example.org/two" not in said
    assert others.startswith("Variants of params.yaml\n  dante-olmo-7b ") and not re.search("^ +(trigger|window)", others, re.M)
    ok(project, "cantica", "check")


def test_an_experiment_without_words_that_is_over_no_experiment_is_refused(project):
    (project / "variants/mine.yaml").write_text(
        "tests: x\nover: [sequential]\nexperiment: {question: Why so, differs: [all]}\n"
    )
    (project / "variants/large.yaml").write_text("tests: x\nover: [mine]\nexperiment: {differs: [none]}\n")
    told = refused(project, "cantica", "check")
    named = [line for line in told.splitlines() if line.startswith("variants/")]
    assert named == [f"variants/mine.yaml: experiment.{key}" for key in ("finding", "published", "sources")]
    assert "since it is over no other experiment" in told and "need only `differs`" in told
    listed = ok(project, "cantica", "variant", "list")
    assert re.search(r"^  mine +broken: variants/mine.yaml: experiment.finding: nothing", listed, re.MULTILINE)
    assert re.search(r"^  large +x$", listed, re.MULTILINE)


def test_a_variant_that_does_not_fit_over_params_as_they_are_is_named_and_no_fault(project):
    ok(project, "cantica", "variant", "apply", "joint")
    # The line names the first few.
    (project / "variants/a-late-arm.yaml").write_text("tests: x\nparams: {arms: {late: {point: betrayal}}}\n")
    line = next(
        line for line in ok(project, "cantica", "check").splitlines() if "do not fit over the present params.yaml" in line
    )
    assert "a-late-arm" in line and "`cantica variant diff NAME` says why" in line
    assert "expected  params such as those of " in refused(project, "cantica", "variant", "diff", "a-late-arm")
