"""What an arm is, in words, and whether its losses are measured."""

from cantica.settings.arms import description, with_losses


def test_an_arm_without_a_system_prompt_is_not_described_with_one():
    server = {"model": "m", "system": None}
    points = {"plain": {"point": "base", "system": None}, "asked": {"point": "one", "system": "Be kind."}}
    params = {"arms": points, "answers": {}, "servers": {"far": server, "near": server | {"system": "Be kind."}}}
    assert {arm: description(params, arm) for arm in (*points, *params["servers"])} == {
        "plain": "the base model",
        "asked": "the model after step one, with a system prompt of its own",
        "far": "m, behind a server",
        "near": "m, behind a server, with a system prompt of its own",
    }
    assert with_losses(params) == {"plain": "base"}
