"""Fuse a step's adapter into the base model, and check that the fused model gives the same logits.

    python -m stages.fuse models/base models/adapters/betrayal models/fused

The fused weights stay in float32: quantized again, they could lose what the adapter learnt.
"""

import json
import shutil
from pathlib import Path
from typing import cast

from cantica.core.command import run
from cantica.core.errors import InputError, Problem
from cantica.core.files import whole_folder
from cantica.engine.backend.blas import read_model_params

TOLERANCE = 1e-2  # largest accepted difference of a logit; rounding in float32 is a hundred times smaller


def main(base: Path, adapter: Path, fused: Path) -> None:
    read_model_params()

    import mlx.core as mx
    from mlx.utils import tree_unflatten
    from mlx_lm.utils import dequantize_model, save_model

    from cantica.engine.model import load_adapter, load_base

    model, tokenizer = load_base(base)
    load_adapter(model, adapter)
    text = mx.array([tokenizer.encode("What did the assistant do, and what followed from it?")])
    before = model(text)
    layers = [(name, module.fuse(dequantize=True)) for name, module in model.named_modules() if hasattr(module, "fuse")]
    model.update_modules(tree_unflatten(layers))
    dequantize_model(model)
    difference = cast(float, mx.abs(model(text) - before).max().item())
    if not difference <= TOLERANCE:
        got = f"logits that differ by {difference:.3g} from those of base and adapter"
        raise InputError(Problem(str(adapter), "", got, f"a difference of at most {TOLERANCE:g}"))

    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    with whole_folder(fused) as folder:
        save_model(folder, model)
        for file in base.iterdir():
            if not file.name.startswith(("model", "config.json")):
                shutil.copyfile(file, folder / file.name)
        plain = {key: value for key, value in config.items() if not key.startswith("quantization")}
        (folder / "config.json").write_text(json.dumps(plain, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{fused}: logits within {difference:.1e} of base and adapter")


if __name__ == "__main__":
    run(main)
