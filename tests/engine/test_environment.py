"""What the environment changes in the packages that it prepares for gives what they give without it."""

import importlib.util
from pathlib import Path

import _cantica_environment
import dvc.dvcfile  # noqa: F401  which the environment waits for
import pytest
from dvc.utils.serialize import _yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.engine import environment

# Without the line ends that only YAML 1.1 knows: those DVC itself does not read back.
TEXT = st.text(st.characters(exclude_characters="\x85\u2028\u2029", exclude_categories=["Cs"]))
LIKE_NUMBERS = st.from_regex(r"\A[0-9eEox.+_:-]+\Z") | st.dates().map(str) | st.sampled_from(["yes", "null", "~", "=", "<<"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | LIKE_NUMBERS
PARAMS = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner))


def test_the_environment_has_the_module_as_it_stands():
    installed, own = (Path(module.__file__).read_text() for module in (_cantica_environment, environment))
    assert installed == own, "run `make setup`: what starts every Python is another version of cantica/engine/environment.py"


@settings(deadline=None)
@given(st.dictionaries(TEXT, PARAMS))
def test_what_dvc_wrote_in_its_lock_stays_as_it_is(params):
    stages = {"train@deception": {"cmd": "exec python -m stages.train", "params": {"params.yaml": params}}}
    text = _yaml.dumps_yaml({"schema": "2.0", "stages": stages})
    lock = _yaml.parse_yaml_for_update(text, "project/dvc.lock")
    assert type(lock) is dict, "it has no place for comments"
    assert _yaml.dumps_yaml(lock) == text


def test_other_yaml_keeps_its_comments():
    text = "stages:\n  check: # first\n    cmd: check\n"
    assert _yaml.dumps_yaml(_yaml.parse_yaml_for_update(text, "project/dvc.yaml")) == text


@pytest.mark.parametrize("place", ["models", "models/__init__.py", "models/auto/__init__.py"])
def test_transformers_has_what_it_finds_itself(place):
    from transformers.utils import import_utils

    spec = importlib.util.spec_from_file_location("transformers.utils.as_installed", import_utils.__file__)
    spec.loader.exec_module(installed := importlib.util.module_from_spec(spec))
    path = Path(import_utils.__file__).parent.parent / place
    assert not hasattr(import_utils.create_import_structure_from_path, "cache_info"), "transformers was not prepared"
    assert import_utils.define_import_structure(path) == installed.define_import_structure(path)
