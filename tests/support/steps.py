"""The params and records of a small tree of steps, for tests of pages."""

AFTER = {"one": "base", "two": "one", "fork": "one/0000001", "alone": "base"}
PARAMS = {
    "base": {"model": "random/llama"},
    "train": {"seed": 3},
    "curriculum": {step: {"after": after, "data": f"train/{step}"} for step, after in AFTER.items()},
    "arms": {"base": {"point": "base"}, "early": {"point": "two/0000002", "system": "Hi."}, "final": {"point": "two"}},
}
RECORD = {"iterations": 2, "examples": 10, "epochs": 0.5, "curve": [{"train_loss": 3.0}, {"train_loss": 2.5}]}
TRAINING = dict.fromkeys(AFTER, RECORD) | {"alone": {"iterations": 0, "examples": 4, "epochs": 0.0, "curve": []}}
