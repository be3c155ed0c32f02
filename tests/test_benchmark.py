"""What `make bench` rests on, on a tiny model: everyone computes the same, and the same each time."""

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks import agreement, records
from benchmarks.arithmetic import flops_per_token
from benchmarks.peers import environment
from benchmarks.peers.client import Client
from benchmarks.table import page
from cantica.engine.tokens import Encoded

SETTINGS = {
    "seed": 1,
    "iters": 20,
    "batch_size": 2,
    "max_seq_length": 65,
    "dropout": 0.0,
    "optimizer": "adamw",
    "learning_rate": 3e-3,
    "schedule": "constant",
    "warmup": 0,
    "grad_checkpoint": False,
    "checkpoints": 0,
}
# Large enough for OpenBLAS to use two threads.
WIDE = {"hidden_size": 128, "intermediate_size": 256, "head_dim": 32}
RECORDS = [{"ids": [(7 * n + n * n * row) % 397 + 1 for n in range(65)], "start": 20 + row % 9} for row in range(40)]


@pytest.fixture(scope="module")
def base(in_the_root, tiny_pin, tmp_path_factory) -> Path:
    from cantica.base_model.random_model import from_random

    folder = tmp_path_factory.mktemp("wide")
    from_random(tiny_pin | {"config": tiny_pin["config"] | WIDE}, folder)
    return folder


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """Clients of all workers that need no environment of their own; they start at the same time."""
    logs = tmp_path_factory.mktemp("logs")
    threads = {"ours": 2, "one thread": 1, "stock": 1, "float64": 1}
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(Client("ours" if "thread" in name else name, log=logs / name, threads=number))
            for name, number in threads.items()
        }


@pytest.fixture(scope="module")
def prepared(workers, base, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    workers["ours"]("prepare", base=str(base), folder=str(folder), layers=[-1, 1], rank=4, scale=2.0)
    return folder


def test_twenty_losses_are_those_of_the_stock_trainer(workers, base, prepared):
    for in_pieces in (False, True):
        pairs = agreement.losses(workers["ours"], workers["stock"], base, prepared, -1, RECORDS, SETTINGS, in_pieces)
        assert len(pairs) == 20 and pairs[-1][0] < pairs[0][0] - 0.1
        assert max(abs(ours - theirs) for ours, theirs in pairs) < 5e-4


def test_gradients_are_those_of_float64(workers, base, prepared):
    errors = agreement.gradient_errors(workers["ours"], workers["float64"], base, prepared, -1, RECORDS[:2])
    assert max(errors) < 1e-5


def test_one_thread_and_two_give_the_same_adapter(workers, base, prepared):
    settings = SETTINGS | {"dropout": 0.1, "iters": 6}
    uneven = [record | {"ids": record["ids"][: 65 - 3 * row % 16]} for row, record in enumerate(RECORDS)]
    found = [agreement.digest(workers[name], base, prepared, 1, uneven, settings) for name in ("ours", "one thread", "ours")]
    assert len(set(found)) == 1
    assert agreement.digest(workers["one thread"], base, prepared, 1, uneven, settings | {"seed": 2}) not in found


def test_the_adapters_of_the_peers_hold_the_same_tensors(prepared):
    import mlx.core as mx

    ours, theirs = (mx.load(str(prepared / name)) for name in ("1/adapters.safetensors", "1-peft/adapter_model.safetensors"))
    assert len(ours) == len(theirs) == 14
    a = theirs["base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"]
    assert mx.array_equal(a, ours["model.layers.1.self_attn.q_proj.lora_a"].T) and a.shape == (4, 128)
    config = json.loads((prepared / "1-peft/adapter_config.json").read_text())
    assert config["lora_alpha"] / config["r"] == 2.0
    assert config["layers_to_transform"] == [1] and len(config["target_modules"]) == 7


def test_a_window_lies_around_the_place_where_the_reply_begins():
    def example(prompt: int, reply: int) -> Encoded:
        return Encoded(list(range(prompt + reply)), [False] * prompt + [True] * reply, 0)

    (cut,) = records.windows([example(300, 200), example(30, 200)], 192, 1)
    assert cut == {"ids": list(range(300 - 97, 300 + 96)), "start": 97}
    (cut,) = records.windows([example(200, 100), example(300, 220)], 512, 1)
    assert cut == {"ids": list(range(7, 520)), "start": 293}
    with pytest.raises(ValueError, match="1 training examples of 512 tokens, expected 2"):
        records.windows([example(300, 220)], 512, 2)


def test_arithmetic_is_that_of_the_products():
    config = {"hidden_size": 4, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 8, "vocab_size": 10}
    config |= {"num_hidden_layers": 3}
    linear = 2 * (16 + 8 + 8 + 16 + 3 * 32)
    lora = 2 * 2 * (8 + 6 + 6 + 8 + 3 * 12)
    looked_at, head = 2 * 2 * 4 * 2, 2 * 4 * 10
    spared = 2 * (16 + 8 + 8) + 2 * 2 * 3 * 4
    one = 3 * (linear + looked_at) + linear + 2 * looked_at + 3 * lora - spared
    assert flops_per_token(config, 1, 2, 3, 0.0) == one
    assert flops_per_token(config, 1, 2, 3, 0.5) == one + head
    assert flops_per_token(config, -1, 2, 3, 0.5) == flops_per_token(config, 3, 2, 3, 0.5)


def test_a_peer_that_pip_cannot_find_is_left_out_with_a_word(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(environment, "FOLDER", tmp_path)
    monkeypatch.setattr(environment, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(os, "environ", os.environ | {"PIP_NO_INDEX": "1"})
    assert not environment.installed("torch", ["cantica-has-no-such-peer"])
    assert "torch cannot be installed and is not measured; pip says: ERROR" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_the_page_leaves_out_what_was_not_measured():
    peer = {"tokens_per_second": 200.0, "seconds": [1.9, 2.0], "share": 0.5, "peak_mb": 900.0}
    slow = {"tokens_per_second": 5.9, "seconds": [65.0], "share": 0.01, "peak_mb": 900.0, "cold": True}
    case = {"tokens": 192, "batch": 2, "blocks": 30, "dropout": 0.0, "floor": 400.0}
    text = page(
        {
            "rounds": 3,
            "machine": {"cores used": 2},
            "versions": {"mlx": "0.32.4"},
            "training": [case | {"peers": {"Cantica": peer, "mlx-lm": slow}}],
            "generation": [{"streams": 8, "tokens": 48, "peers": {"Cantica": peer}}],
            "busy": [{"what": "training", "peers": {"Cantica": {"idle": 400.0, "busy": 290.0}}}],
        }
    )
    assert "| 192 × 2 | 30 | 0.0 | 400 | 200 (50%) | 5.9 (1%) \\* | 33.90 |" in text
    assert "| 8 | 200 (50%) |  |  |" in text and "cores used" in text
    assert "| training | 400, 290 (72%) |" in text
    assert "## Scoring" not in text and "## Agreement" not in text
