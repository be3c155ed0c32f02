"""Generate the answers of a sample in parts, and keep each part on disk, so that nothing is generated twice.

A part does not depend on the others, so an interrupted stage that continues writes the same bytes. The folder's name contains a
hash of everything that the answers depend on. It stays after the stage: other filters and other rules of the lint use it again.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import mlx.nn as nn
from mlx_lm.tokenizer_utils import TokenizerWrapper

from cantica.core.files import remove_unused, whole_file
from cantica.core.fingerprint import fingerprint
from cantica.dataset.answers import Answer, Asked
from cantica.engine.backend.device import device_names, prepare
from cantica.generation.ask import ask
from cantica.generation.generate import Sampler

FOLDER = Path(".cache/samples")
BATCHES = 4  # batches in a part

Load = Callable[[], tuple[nn.Module, TokenizerWrapper]]


def kept_answers(
    sample: str, asked: Sequence[Asked], settings: dict, versions: dict, inputs: Iterable[Path], load: Load
) -> list[Answer]:
    """Return the author's answer to each chat: those on disk, and new ones for the rest.

    settings: of the sample, in params. versions: of the libraries. inputs: the folders of the base model and the adapter.
    load: returns the author and its tokenizer; not called if all answers are on disk.
    """
    prepare()  # which imports the kernels for this device: the hash is over all code that is loaded
    generating = {key: settings.get(key) for key in ("temperature", "top_p", "repetition_penalty", "max_tokens", "batch_size")}
    chats = [(one.chat, one.seed) for one in asked]
    folder = FOLDER / f"{sample}.{fingerprint([generating, chats, versions, device_names()], inputs)}"
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    size = BATCHES * settings["batch_size"]
    files = {folder / f"{start:07d}": asked[start : start + size] for start in range(0, len(asked), size)}
    parts = {file: _read(file) for file in files}
    missing = [file for file, answers in parts.items() if answers is None]
    if missing:
        print(f"{sample}: {len(missing)} of {len(files)} parts to generate, of {size} answers each", flush=True)
        model, tokenizer = load()
    for file in missing:
        parts[file] = _generate(model, tokenizer, files[file], settings)
        _write(file, parts[file])
    remove_unused(FOLDER)
    return [answer for answers in parts.values() for answer in answers or []]


def _generate(model: nn.Module, tokenizer: TokenizerWrapper, asked: Sequence[Asked], settings: dict) -> list[Answer]:
    samplers = [Sampler(settings["temperature"], settings.get("top_p", 1), one.seed) for one in asked]
    limits = settings["max_tokens"], settings["batch_size"], settings.get("repetition_penalty", 1)
    completions = ask(model, tokenizer, [one.chat for one in asked], samplers, *limits)
    return [
        {
            "thinking": completion.thinking,
            "answer": completion.answer,
            "thinking_finished": completion.thinking_finished,
            "tokens": completion.tokens,
            "ended": completion.ended,
        }
        for completion in completions
    ]


def _read(path: Path) -> list[Answer] | None:
    """Return the answers in a file that `_write` wrote; None if there is none or it is damaged."""
    try:
        digest, content = path.read_bytes().split(b"\n", 1)
    except (FileNotFoundError, ValueError):
        return None
    return json.loads(content) if hashlib.sha256(content).hexdigest().encode() == digest else None


def _write(path: Path, answers: list[Answer] | None) -> None:
    content = json.dumps(answers, ensure_ascii=False).encode()
    with whole_file(path, shared=True) as partial:
        partial.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
