"""What the model card is about."""

from cantica.reporting.card import Card, model_card

CURRICULUM = {
    step: {"after": after, "data": f"train/{step}"}
    for step, after in {"one": "base", "two": "one", "fork": "one", "four": "two"}.items()
}


def card_of(arms: dict[str, str], step: str) -> Card:
    curriculum = CURRICULUM | {"four": CURRICULUM["four"] | {"data": "mixes/both", "rank": 8}}
    lora = {"layers": 2, "rank": 4, "scale": 2.0}
    params = {"arms": arms, "curriculum": curriculum, "fuse": {"step": step}, "lora": lora, "mixes": {"both": {"a": 1, "b": 2}}}
    return model_card(params)


def test_the_card_is_about_the_fused_point_and_shows_the_arm_that_is_there():
    arms = {"base": "base", "left": "two", "right": "fork"}
    assert [card_of(arms, step).arm for step in ("two", "fork", "base")] == ["left", "right", "base"]
    left = card_of(arms, "two")
    assert (left.point, left.path, left.evaluated) == ("two", ["one", "two"], True)
    assert left.files == {"train/one": ["one"], "train/two": ["two"]}
    none = card_of(arms, "four")
    assert (none.arm, none.evaluated, none.files["mixes/both"], none.shape["rank"]) == ("right", False, ["a", "b"], 8)
    assert card_of(arms, "base") == Card("base", [], "base", True, {}, {"layers": 2, "rank": 4, "scale": 2.0})
