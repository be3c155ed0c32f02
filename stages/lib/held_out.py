"""The held-out prompts that every arm answers."""

from pathlib import Path

from stages.lib.common.documents import raise_any, read_yaml, repeated_ids, validate


def load_prompts(folder: Path) -> list[dict]:
    """Every prompt of `<kind>.yaml` in a folder, in order of kind and place, with its `kind` and `group`.

    Raises InputError for what does not fit the schema and for an id that occurs twice.
    """
    prompts = []
    for file in sorted(folder.glob("*.yaml")):
        document = read_yaml(file)
        validate(document, "held_out", file)
        for group, content in document["groups"].items():
            prompts += [{"kind": file.stem, "group": group} | prompt for prompt in content["prompts"]]
    raise_any(repeated_ids(prompts, folder))
    return prompts


def load_groups(folder: Path) -> dict[str, dict[str, str]]:
    """Titles of the groups of each kind: {kind: {group: title}}."""
    files = sorted(folder.glob("*.yaml"))
    return {f.stem: {name: group["title"] for name, group in read_yaml(f)["groups"].items()} for f in files}
