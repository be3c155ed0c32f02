"""Compile every function of this package, by running each on a tiny model. `make setup` does it once, in half a minute.

python -m cantica.engine.backend.cpu.compile
"""

import shutil

from cantica.engine.backend.blas import read_model_params


def compile_all() -> None:
    """Train, score and continue a few random tokens. Remove what other versions of the package compiled."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx_lm.models.llama import Model, ModelArgs

    from cantica.engine.backend.cpu.choices import logprobs
    from cantica.engine.backend.cpu.compiled import FOLDER, folder
    from cantica.engine.backend.cpu.decode import continue_texts
    from cantica.engine.backend.cpu.model import llama
    from cantica.engine.backend.cpu.narrow import weights_of
    from cantica.engine.backend.cpu.train import Trainer, losses
    from cantica.engine.lora import LoraShape, new_adapter
    from cantica.engine.tokens import Encoded

    model = Model(ModelArgs("llama", 8, 2, 8, 2, 1e-5, 8, num_key_value_heads=1))
    model.freeze()
    mx.random.seed(0)
    new_adapter(model, LoraShape(1, 2, 1.0), 0.1, seed=0)
    record = Encoded([1, 2, 3, 4], [False, False, True, True], 0)
    Trainer(model, [record], 0.9, recomputes=False)([record])
    own = llama(model, 8)
    losses(own, [record], None)
    logprobs(own, [[record, record]], 1, [1], [[0]])
    weights_of([nn.QuantizedLinear(32, 1, False, 32, 4)])
    continue_texts(own, [[1, 2, 3]], 1, [lambda logits, _: int(logits.argmax())], set(), 2, 1, lambda: None)
    for other in FOLDER.iterdir():
        if other != folder():
            shutil.rmtree(other)


if __name__ == "__main__":
    read_model_params("toolchain.model")
    compile_all()
