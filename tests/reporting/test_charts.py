"""Charts: valid specifications, shared with DVC's plots, and the same SVG each time, with text as text."""

import json
import re
from pathlib import Path

import altair
import pytest

from cantica.reporting.charts import DVC_TEMPLATES, checkpoint_chart, loss_curve, loss_matrix, spec_of
from cantica.reporting.draw import FONT, VERSION, draw
from cantica.reporting.palette import COLOURS, look, of_light, variables
from tests.support.effects import FOUND
from tests.support.steps import PARAMS, TRAINING

CURVE = [{"iteration": n, "branch": b, "step": b, "train_loss": 3 - n / 4} for b in ("one", "two") for n in range(3)]
MATRIX = [{"after": a, "category": c, "loss": 2.5, "own": a == c} for a in ("base", "one") for c in ("one", "two")]
LEVELS = [{"iteration": n, "series": "plain", "value": 0.5, "low": 0.25, "high": 0.75} for n in (1, 2)]
SHARED = {
    "curve": loss_curve(CURVE, 300, 200),
    "matrix": loss_matrix(MATRIX, 300, 200),
    "checkpoints": checkpoint_chart(LEVELS, True, ["plain"], (0, 1)),
}


def pictures() -> dict[str, dict]:
    from cantica.reporting.forest import forest_plot
    from cantica.reporting.steps import nodes, tree_picture

    tree = nodes(PARAMS, TRAINING, {})
    forms = {f"forest {narrow}": forest_plot(FOUND, narrow) for narrow in (False, True)}
    forms |= {f"tree {narrow}": tree_picture(tree, narrow) for narrow in (False, True)}
    return forms | {name: spec_of(chart) for name, chart in SHARED.items()}


def test_dvcs_templates_are_the_charts_of_the_report():
    for name, text in DVC_TEMPLATES.items():
        written = Path(f".dvc/plots/{name}.json").read_text()
        assert written == text(), f"write .dvc/plots/{name}.json again: charts.DVC_TEMPLATES[{name!r}]()"
        spec = json.loads(written)["spec"]
        drawn = json.loads(of_light(json.dumps(spec_of(SHARED["curve" if name == "branches" else "matrix"]))))
        assert spec.get("encoding") == drawn.get("encoding") and spec.get("mark") == drawn.get("mark")
        assert "var(--" not in written


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_chart_is_valid_vega_lite(name):
    assert spec_of(SHARED[name], validate=True)


def test_the_version_of_vega_lite_is_altairs():
    assert altair.SCHEMA_VERSION.startswith(f"v{VERSION}.")


def test_a_picture_has_the_same_bytes_each_time_with_text_and_without_addresses():
    for name, spec in pictures().items():
        svg = draw(spec, f"a <picture> of {name}")
        assert svg == draw(json.loads(json.dumps(spec)), f"a <picture> of {name}")
        assert 'aria-label="a &lt;picture&gt; of' in svg and 'role="img"' in svg
        assert "<text" in svg and "http" not in svg and FONT not in svg and "<image" not in svg and "#000" not in svg
        colours = set(re.findall(r'(?:fill|stroke)="(?!none|transparent|var)([^"]*)"', svg))
        assert not colours, f"{name} has colours that do not follow light and dark"


def test_a_label_leads_to_its_items():
    from cantica.reporting.forest import forest_plot

    svg = draw(forest_plot(FOUND), "differences", linked=True)
    assert 'role="group"' in svg and '<a href="#items-loss_nats-alpha"><text' in svg and svg.count("<a ") == len(FOUND)


def test_each_colour_has_a_light_and_a_dark_form():
    assert "--ink: #1a2430;" in variables(dark=False) and "--ink: #e6ebf1;" in variables(dark=True)
    assert of_light("var(--line-0) var(--line)") == f"{COLOURS['line-0'][0]} {COLOURS['line'][0]}"
    assert len({(colour, tuple(dashes)) for colour, dashes in map(look, range(24))}) == 24


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    return sum(
        w * (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4)
        for w, p in zip((0.2126, 0.7152, 0.0722), parts, strict=True)
    )


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_on_the_page(dark):
    """Contrast of 4.5 and more (WCAG AA)."""
    for name in ("ink", "soft", "blue", "better", "worse"):
        for ground in ("paper", "wash"):
            lights = sorted(luminance(COLOURS[key][dark]) + 0.05 for key in (name, ground))
            assert lights[1] / lights[0] >= 4.5, (name, ground)
