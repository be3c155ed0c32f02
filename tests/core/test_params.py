"""Reading params: only the requested keys, and only if the installed versions are those of the toolchain."""

from importlib.metadata import version

import pytest

from cantica.core.errors import InputError
from cantica.core.params import read_params, toolchain_faults

PARAMS = """
data:
  seed: 3
train:
  iters: 6
  loss_on: [thinking, answer]
curriculum:
  deception: {after: base, data: train/deception}
  betrayal: {after: deception, data: train/betrayal}
toolchain:
  templates: {jinja2: 0.0.1}
"""


@pytest.fixture
def params(tmp_path, monkeypatch):
    """Write a params.yaml into a folder of its own and go there."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> None:
        (tmp_path / "params.yaml").write_text(text)

    write(PARAMS)
    return write


def refused(*keys: str) -> list:
    with pytest.raises(InputError) as caught:
        read_params(*keys)
    return list(caught.value.problems)


def test_only_the_requested_keys_are_read(params):
    assert read_params("train.loss_on", "data") == {"train": {"loss_on": ["thinking", "answer"]}, "data": {"seed": 3}}


def test_keys_of_one_section_are_nested_together(params):
    chosen = read_params("curriculum.betrayal", "curriculum.deception.after")
    assert chosen == {
        "curriculum": {"betrayal": {"after": "deception", "data": "train/betrayal"}, "deception": {"after": "base"}}
    }


def test_a_value_may_be_null(params):
    params("respond: {system: null}\n")
    assert read_params("respond.system") == {"respond": {"system": None}}


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("train.itters", "did you mean 'iters'?"),
        ("tran.iters", "did you mean 'train'?"),
        ("curriculum.decption", "did you mean 'deception'?"),
        ("measure.examples", ""),
        ("data.seed.more", ""),
    ],
)
def test_a_missing_key_is_named_with_the_most_similar_key(params, key, hint):
    (problem,) = refused("data.seed", key)
    assert (problem.file, problem.place, problem.hint) == ("params.yaml", key, hint)


def test_a_fault_elsewhere_does_not_stop_a_stage_that_does_not_read_it(params):
    assert read_params("data.seed") == {"data": {"seed": 3}}


def test_an_empty_file_has_no_keys(params):
    params("")
    (problem,) = refused("data.seed")
    assert problem.place == "data.seed"


def test_a_different_version_stops_the_stage(params):
    (problem,) = refused("data.seed", "toolchain.templates")
    assert problem.place == "toolchain.templates.jinja2" and problem.expected == "jinja2 0.0.1"
    assert problem.got.startswith(f"jinja2 {version('jinja2')} in ") and "make setup" in problem.hint


def test_the_version_of_params_passes(params):
    params(f"toolchain: {{templates: {{jinja2: {version('jinja2')}}}}}\n")
    assert read_params("toolchain.templates") == {"toolchain": {"templates": {"jinja2": version("jinja2")}}}


def test_all_packages_that_differ_are_reported_at_once():
    faults = toolchain_faults({"a": {"jinja2": "0.0.1", "jsonschema": version("jsonschema")}, "b": {"no-such-package": "1.0"}})
    assert [fault.place for fault in faults] == ["toolchain.a.jinja2", "toolchain.b.no-such-package"]
    assert faults[1].got.startswith("no-such-package none in ")
