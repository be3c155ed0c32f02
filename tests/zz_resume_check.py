import os, sys

os.environ["CANTICA_CHECKPOINT_SECONDS"] = "0"
sys.path.insert(0, "tests")
import pytest
from pathlib import Path
from test_training import *
from stages.lib.checkpoint import Checkpoint
import stages.lib.checkpoint as C


class Stop(Exception):
    pass


class Dying(Checkpoint):
    at = 0

    def save(self, m, o, c):
        super().save(m, o, c)
        if c[-1]["iteration"] >= self.at:
            raise Stop


@pytest.mark.parametrize("opt", ["adafactor", "adam", "adamw", "muon", "sgd"])
@pytest.mark.parametrize("sch", ["constant", "cosine_decay"])
@pytest.mark.parametrize("iters,at", [(12, 1), (12, 7), (60, 30), (53, 53)])
def test_x(adapted, encoded, tmp_path, monkeypatch, opt, sch, iters, at):
    monkeypatch.setattr(C, "FOLDER", tmp_path / "c")
    ch = dict(optimizer=opt, schedule=sch, iters=iters, warmup=2, learning_rate=1e-3)
    one = trained(adapted, encoded, tmp_path / "one", **ch)

    def run(cp):
        model, _ = adapted(SHAPE, STEP["dropout"], effect=False)
        return model, train(model, encoded(), STEP | ch, "d", cp)

    cp = Dying("d", ch, [])
    cp.at = at
    with pytest.raises(Stop):
        run(cp)
    model, curve = run(Checkpoint("d", ch, []))
    (tmp_path / "two").mkdir()
    save_adapter(model, SHAPE, 0.0, tmp_path / "two")
    assert curve == one[1]
    assert (tmp_path / "two/adapters.safetensors").read_bytes() == one[0]
