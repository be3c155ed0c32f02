"""What is known of the base model before anything is built or fetched: its configuration and its tokenizer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cantica.commands.dvc.project import read_present, read_project
from cantica.commands.dvc.records import outputs
from cantica.core.documents import read_json, read_text
from cantica.core.params import FILE

BUILT, LOCK = Path("models/base"), Path("dvc.lock")


class Tokenizer(Protocol):
    """A tokenizer of the library `tokenizers`."""

    def encode(self, sequence: str, *, add_special_tokens: bool = True) -> Any: ...


def no_tokens(text: str) -> int:
    """Count no token, where nothing can be known of a text's length."""
    return 0


@dataclass(frozen=True)
class KnownBase:
    """config: the model's configuration, {} if not known. file: the file that holds it. count: counts the tokens of a text.

    counted_by: the files that `count` was made from. folder: the folder with the model's tokenizer, None if there is none yet.
    """

    config: dict[str, Any] = field(default_factory=dict)
    file: str = ""
    count: Callable[[str], int] = no_tokens
    counted_by: tuple[Path, ...] = ()
    folder: Path | None = None


def known_base(params: dict) -> KnownBase:
    """The configuration and the tokenizer of the base model, as far as they are known.

    Without the tokenizer every word counts as one token: no text has fewer. Raises InputError for a file that cannot be read.
    """
    source = params["base"]["source"]
    if source == "random":
        from cantica.base_model.bpe import learnt_tokenizer

        random, text = params["base"]["random"], Path("LICENSE")
        count = _counter(learnt_tokenizer(read_text(text), random["vocab_size"]))
        return KnownBase(random["config"], str(FILE), count, (text,))
    folder = Path(params["base"]["path"]["path"]).expanduser() if source == "path" else BUILT
    if not folder.is_dir():
        folder = BUILT
    if folder == BUILT and not _is_of(params["base"]):
        return KnownBase(count=_words)
    config, tokenizer = folder / "config.json", folder / "tokenizer.json"
    counted_by = (tokenizer,) if tokenizer.is_file() else ()
    count = _tokens(tokenizer) if counted_by else _words
    whole = config.is_file() and tokenizer.is_file() and (folder / "tokenizer_config.json").is_file()
    return KnownBase(read_json(config) if config.is_file() else {}, str(config), count, counted_by, folder if whole else None)


def _is_of(base: dict) -> bool:
    """Whether models/base was built from this section of params. After `git checkout` another one may lie there."""
    if not (BUILT.is_dir() and LOCK.is_file()):
        return False
    project = read_project()
    entry = project.lock.get("base", {})
    made_from = entry.get("params", {}).get(str(FILE), {})
    same = all(made_from.get(f"base.{key}") == base[key] for key in ("source", base["source"]))
    return same and outputs(entry) == outputs(read_present(project, ["base"])["base"])


def _tokens(file: Path) -> Callable[[str], int]:
    from tokenizers import Tokenizer

    return _counter(Tokenizer.from_str(read_text(file)))


def _counter(tokenizer: Tokenizer) -> Callable[[str], int]:
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _words(text: str) -> int:
    return len(text.split())
