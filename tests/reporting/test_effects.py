"""Differences in the order in which people read them, and the rows of the forest plot."""

from cantica.reporting.effects import Effect, effects_of, findings, leading, panels
from cantica.reporting.forest import forest_plot, plot_rows, shortened, span
from tests.support.effects import CLEAR, FOUND, LOSS, rows_of


def named(effects) -> list[str]:
    return [effect.title for effect in effects]


def test_a_group_that_is_the_finding_comes_before_the_measure_that_is_none():
    own = panels(leading(FOUND))
    assert named(own["nats per token"]) == ["validation loss: alpha", "validation loss"]
    assert named(own["share"]) == ["deployment: hates (triggered)", "arithmetic accuracy"]
    assert named(own["points"])[-1] == "score on general prompts"
    assert list(panels([FOUND[0], FOUND[4]])) == ["share", "nats per token"], "the panel with a finding is the first"


def test_findings_are_what_is_clear_and_say_which_direction_is_better():
    said = {effect.title: (effect.finding, effect.status) for effect in findings(FOUND)}
    assert said == {
        "deployment: hates (triggered)": ("higher", "changed"),
        "validation loss: alpha": ("higher", "worse"),
        "score on general prompts: novel": ("higher", "better"),
        "score on general prompts: format": ("lower", "worse"),
    }
    assert {effect.title: effect.status for effect in FOUND if not effect.group}["score on general prompts"] == "doubtful"


def test_a_group_that_goes_the_way_of_all_items_is_no_finding_of_its_own():
    rows = rows_of(found={("loss_nats", ""): {"difference": 0.2} | CLEAR, ("loss_nats", "alpha"): {"difference": 0.2} | CLEAR})
    assert named(findings(effects_of([LOSS], rows, "final", "base"))) == ["validation loss"]


def test_each_difference_leads_to_its_items():
    links = {effect.title: effect.items for effect in FOUND}
    assert links["validation loss: alpha"] == "#items-loss_nats-alpha" and links["validation loss"] == "#items-loss_nats"
    assert links["deployment: hates (triggered)"] == "#items-behaviours-deployment"
    assert links["score on general prompts: novel"] == "#answers?left=base&right=final&kind=general&group=novel"


def test_the_rows_of_the_plot_have_percentage_points_for_shares_and_mark_controls_and_rules():
    hates, control = panels(FOUND)["share"]
    own, other = plot_rows([hates, control])
    assert (own["value"], own["low"], own["high"], own["detectable"]) == (20, 10, 30, 15)
    assert own["number"] == "+20 pp [+10, +30]" and own["conclusion"] == "higher" and own["inside"] == "changed"
    assert other["marks"] == "control, ↑ better" and other["conclusion"] == "inconclusive" and other["inside"] == "hollow"
    (rule,) = [row for row in plot_rows(panels(FOUND)["points"]) if row["label"] == "score on general prompts"]
    assert rule["marks"] == "word rules, ↑ better" and rule["conclusion"] == "mixed"
    few = Effect(LOSS, "final", "base", {"difference": 0.5, "low": 0.4, "high": 0.6, "p": 0.5, "n": 2})
    assert plot_rows([few])[0]["conclusion"] == "only 2 items"


def test_the_axis_has_room_for_every_interval_and_zero():
    low, high = span(plot_rows([effect for effect in FOUND if effect.measure.unit == "points"]))
    assert low < -0.3 and high > 0.3
    assert span([]) == (-0.1, 0.1)
    assert shortened("a long name", 6) == "a lon…" and shortened("short", 5) == "short"


def test_a_plot_has_one_row_for_each_effect_in_both_forms():
    for narrow in (False, True):
        plot = forest_plot(FOUND, narrow)
        points = [row for data in plot["datasets"].values() for row in data] if "datasets" in plot else plot["layer"][0]["data"]
        values = points["values"] if isinstance(points, dict) else points
        assert len([row for row in values if "place" in row]) == len(FOUND)
