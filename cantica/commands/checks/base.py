"""What is known of the base model before anything is built or fetched: its configuration and its tokenizer."""

from collections.abc import Callable
from pathlib import Path

from cantica.commands.dvc.records import outputs, read_present, read_records
from cantica.core.documents import read_json, read_text
from cantica.core.params import FILE

BUILT, LOCK = Path("models/base"), Path("dvc.lock")


def known_base(params: dict) -> tuple[dict, str, Callable[[str], int]]:
    """(configuration, its file, a function that counts the tokens of a text) of the base model, as far as they are known.

    The configuration is empty where nothing says it. Where the tokenizer is not known, every word counts as one token, which
    no text has fewer of. Raises InputError for a file that cannot be read.
    """
    source = params["base"]["source"]
    if source == "random":
        from cantica.base_model.bpe import learnt_tokenizer

        random = params["base"]["random"]
        return random["config"], str(FILE), _counter(learnt_tokenizer(read_text(Path("LICENSE")), random["vocab_size"]))
    folder = Path(params["base"]["path"]["path"]).expanduser() if source == "path" else BUILT
    if not folder.is_dir():
        folder = BUILT
    if folder == BUILT and not _is_of(params["base"]):
        return {}, "", _words
    config, tokenizer = folder / "config.json", folder / "tokenizer.json"
    return read_json(config) if config.is_file() else {}, str(config), _tokens(tokenizer) if tokenizer.is_file() else _words


def _is_of(base: dict) -> bool:
    """Whether models/base is what dvc.lock says was built from this section of params.

    After `git checkout` another build's may still lie there.
    """
    if not (BUILT.is_dir() and LOCK.is_file()):
        return False
    records = read_records()
    entry = records.lock.get("base", {})
    made_from = entry.get("params", {}).get(str(FILE), {})
    same = all(made_from.get(f"base.{key}") == base[key] for key in ("source", base["source"]))
    return same and outputs(entry) == outputs(read_present(records, ["base"])["base"])


def _tokens(file: Path) -> Callable[[str], int]:
    from tokenizers import Tokenizer

    return _counter(Tokenizer.from_str(read_text(file)))


def _counter(tokenizer) -> Callable[[str], int]:
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _words(text: str) -> int:
    return len(text.split())
