"""Write the adapter that every curriculum starts from: LoRA layers whose effect on the base model is zero.

python -m stages.init models/base models/adapters/base
"""

from pathlib import Path

from cantica.core.command import run
from cantica.core.files import whole_folder
from cantica.engine.backend.blas import read_model_params


def main(base: Path, adapter: Path) -> None:
    params = read_model_params("lora")

    from cantica.engine.lora import LoraShape, new_adapter
    from cantica.engine.model import load_base, save_adapter

    lora = params["lora"]
    model, _ = load_base(base)
    shape = LoraShape(lora["layers"], lora["rank"], lora["scale"])
    new_adapter(model, shape, 0.0, lora["seed"])
    with whole_folder(adapter) as folder:
        save_adapter(model, shape, 0.0, folder)
    print(f"{adapter}: rank {shape.rank}, scale {shape.scale}, layers {shape.layers}")


if __name__ == "__main__":
    run(main)
