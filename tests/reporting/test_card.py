"""What the model card is about."""

from cantica.reporting.card import Card, model_card

CURRICULUM = {
    step: {"after": after, "data": f"train/{step}"}
    for step, after in {"one": "base", "two": "one", "fork": "one", "four": "two"}.items()
}

LORA = {"layers": 2, "rank": 4, "scale": 2.0}
DATA = {"categories": {"one": {"pairing": "shuffled"}}, "pairing": "matched", "system": None, "thinking": True}


def card_of(arms: dict[str, str], step: str) -> Card:
    curriculum = CURRICULUM | {"four": CURRICULUM["four"] | {"data": "mixes/both", "adapter": "fresh", "rank": 8}}
    points = {arm: {"point": point} for arm, point in arms.items()}
    params = {
        "arms": points,
        "curriculum": curriculum,
        "data": DATA,
        "fuse": {"step": step},
        "lora": LORA,
        "mixes": {"both": {"a": 1, "one": 2}},
    }
    return model_card(params)


def test_the_card_is_about_the_fused_point_and_shows_the_arm_that_is_there():
    arms = {"base": "base", "left": "two", "right": "fork"}
    assert [card_of(arms, step).arm for step in ("two", "fork", "base")] == ["left", "right", "base"]
    left = card_of(arms, "two")
    assert (left.point, left.path, left.evaluated) == ("two", ["one", "two"], True)
    assert left.categories == ["one", "two"]
    assert [own["pairing"] for own in left.operations.values()] == ["shuffled", "matched"]
    none = card_of(arms, "four")
    assert (none.arm, none.evaluated, none.categories, none.shape["rank"]) == ("right", False, ["one", "two", "a"], 12)
    assert card_of(arms, "base") == Card("base", [], "base", True, [], [], {}, LORA)


def test_an_arm_with_a_system_prompt_is_not_the_model_itself():
    arms = {"base": {"point": "base"}, "asked": {"point": "one", "system": "Be brief."}, "plain": {"point": "one"}}
    sections = {"data": DATA, "curriculum": CURRICULUM, "fuse": {"step": "one"}, "lora": LORA, "mixes": {}}
    assert model_card({"arms": arms} | sections).arm == "plain"


def test_the_card_names_the_samples_that_its_steps_trained_on():
    curriculum = CURRICULUM | {"two": {"after": "one", "data": "samples/own"}}
    sections = {"data": DATA, "fuse": {"step": "two"}, "lora": LORA, "mixes": {}}
    card = model_card({"arms": {"base": {"point": "base"}}, "curriculum": curriculum} | sections)
    assert (card.categories, card.samples) == (["one"], ["own"])
