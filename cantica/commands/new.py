"""`cantica new KIND NAME`: a short start, with comments, in the room of its kind. `cantica check` accepts it as it is."""

import json
import re
from pathlib import Path

from cantica.core.documents import raise_any, read_text, read_yaml
from cantica.core.errors import Problem
from cantica.core.files import write_text
from cantica.core.params import FILE

STARTS = Path(__file__).parent / "templates/new"
# {kind: {file or folder that is begun: file or folder that it begins as}}. In both, NAME stands for the name, ITEM for the name
# with _ for each - and ., as names in params.yaml are, and LAST for the last step of params.yaml.
KINDS = {
    "category": {"prompts/categories/NAME": STARTS / "category"},
    "variant": {"variants/NAME.yaml": STARTS / "variant.yaml"},
    "behaviour": {"prompts/probes/behaviours/NAME.yaml": STARTS / "behaviour.yaml"},
    "judge": {"prompts/judge/NAME": Path("prompts/judge/rubric")},
    "experiment": {
        "variants/NAME.yaml": STARTS / "experiment.yaml",
        "prompts/categories/ITEM": STARTS / "category",
        "prompts/probes/behaviours/ITEM.yaml": STARTS / "behaviour.yaml",
    },
}
ENTRIES = {"category": "categories", "judge": "judges"}  # the section of params.yaml with entries of these names
FORM = "lower-case letters, digits and _, with a letter first, and no reserved word"
FILE_FORM = "lower-case letters, digits, - and _, with a letter first"


def new(kind: str, name: str) -> str:
    """Write a start. Returns the names of its files, and what to do next. Raises InputError for a malformed or taken name."""
    raise_any(_malformed(kind, name))
    params = read_yaml(FILE)
    words = {"NAME": name, "ITEM": _item(name), "LAST": list(params["curriculum"])[-1]}
    starts = {Path(_filled(path, words)): start for path, start in KINDS[kind].items()}
    taken = [Problem(str(path), "", "there already", "a name that is not taken") for path in starts if path.exists()]
    if (section := ENTRIES.get(kind)) and name in params[section]:
        taken.append(Problem(str(FILE), section, f"an entry {name!r}", "a name that is not taken"))
    raise_any(taken)
    files = {path / part: start / part for path, start in starts.items() for part in _parts(start)}
    for file, start in files.items():
        write_text(file, _filled(read_text(start), words))
    return "\n".join([*map(str, files), "", _filled(read_text(STARTS / f"next/{kind}.txt"), words).rstrip()])


def _item(name: str) -> str:
    return re.sub("[-.]", "_", name)


def _parts(start: Path) -> list[Path]:
    """The files of a start, as paths in it; a start that is a file is its own only part."""
    return sorted(path.relative_to(start) for path in start.rglob("*") if path.is_file()) if start.is_dir() else [Path()]


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def _malformed(kind: str, name: str) -> list[Problem]:
    """A Problem if a name does not have the form that the schemas ask for."""
    params, variant = (json.loads(read_text(Path(f"schemas/{schema}.schema.json"))) for schema in ("params", "variant"))
    (entry,) = params["properties"][ENTRIES.get(kind, "categories")]["patternProperties"]
    file = variant["properties"]["over"]["items"]["pattern"]
    in_params = {"variant": "x", "experiment": _item(name)}.get(kind, name)

    def fits(text: str, item: str) -> bool:
        return bool(re.search(entry, item) and re.search(file, text))

    if fits(name, in_params):
        return []
    named = kind in ("variant", "experiment")
    near = re.sub(r"[^a-z0-9]+", "-" if named else "_", name.lower()).strip("-_")
    hint = f"such as {near}" if near != name and fits(near, _item(near)) else ""
    return [Problem(f"cantica new {kind}", "", repr(name), f"a name of {FILE_FORM if named else FORM}", hint)]
