"""What editors read of a build: the JSON that the DVC extension of VS Code asks for."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.browser import CHROMIUM
from tests.support.projects import edit, ok

TITLES = {
    "Training loss along the curriculum",
    "Loss of each category after each step",
    "Tokens of each category",
    "Similarity of the words of categories",
}


@pytest.fixture(scope="module")
def project(smoke, tmp_path_factory) -> Path:
    """A build, and an edit of a text that changes numbers: a second experiment, which is saved as it is."""
    project = Path(shutil.copytree(smoke, tmp_path_factory.mktemp("code") / "project", symlinks=True))
    edit(project / "params.yaml", "resamples: 10000", "resamples: 2000")
    ok(project, "dvc", "exp", "save", "--name", "fewer-resamples", "--force")
    ok(project, "git", "checkout", "--quiet", "params.yaml")
    return project


def test_experiments_have_their_params_and_metrics(project):
    working, head = json.loads(ok(project, "dvc", "exp", "show", "--json"))
    assert working["rev"] == "workspace" and head["name"] in ("master", "main")
    (saved,) = head["experiments"]
    (experiment,) = saved["revs"]
    assert saved["name"] == experiment["name"] == "fewer-resamples"
    resamples = []
    for own in (working, head, experiment):
        data = own["data"]
        assert own["error"] is None and set(data["metrics"]) >= {"reports/metrics.json", "reports/claims.json"}
        assert {name: part["error"] for name, part in {**data["params"], **data["metrics"]}.items() if "error" in part} == {}
        assert "loss_nats" in data["metrics"]["reports/metrics.json"]["data"]["final"]
        assert {"base", "curriculum", "train"} <= set(data["params"]["params.yaml"]["data"])
        resamples.append(data["params"]["params.yaml"]["data"]["report"]["resamples"])
    assert resamples == [10000, 10000, 2000]


def test_plots_have_the_templates_of_the_project_and_load_nothing(project):
    found = json.loads(ok(project, "dvc", "plots", "diff", "HEAD", "workspace", "--json", "--split"))
    assert set(found["data"]) == TITLES and not found.get("errors")
    for title, (plot,) in found["data"].items():
        assert (plot["type"], set(plot["revisions"])) == ("vega", {"HEAD", "workspace"}), title
        assert {row["rev"] for row in plot["anchor_definitions"]["<DVC_METRIC_DATA>"]} == {"HEAD", "workspace"}, title
        assert '"url"' not in json.dumps(plot), title
    curve = found["data"]["Training loss along the curriculum"][0]["content"]
    template = (project / ".dvc/plots/branches.json").read_text()
    assert curve == json.loads(template.replace("<DVC_METRIC_X>", "iteration").replace("<DVC_METRIC_Y>", "train_loss"))


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)")
def test_the_page_of_dvc_plots_draws_all_of_them_without_a_network(project, browse):
    ok(project, sys.executable, "-m", "cantica.commands.dvc.plots_page")
    ok(project, "dvc", "plots", "diff", "HEAD", "workspace")
    page = browse((project / "dvc_plots/index.html").as_uri())
    drawn = "[...document.querySelectorAll('.vega-embed')].filter(plot => plot.querySelector('.marks')).length"
    page.wait_for_function(f"{drawn} === {len(TITLES)}")


def test_states_of_files_and_stages(project):
    status = json.loads(ok(project, "dvc", "data", "status", "--json", "--granular"))
    assert not {"uncommitted", "not_in_cache"} & set(status), status
    listed = ok(project, "dvc", "stage", "list").splitlines()
    assert any(line.startswith("train@betrayal ") and "Train betrayal on train/betrayal" in line for line in listed)
