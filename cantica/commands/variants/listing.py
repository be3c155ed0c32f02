"""`cantica variant list`: experiments of the field apart from the variants of params.yaml."""

import textwrap
from collections.abc import Iterator

from cantica.commands.variants.files import file_faults, in_a_line, load_variant, names, parts

WIDTH = 100  # characters of a line
Row = tuple[str, list[str]]  # a name with its texts


def list_variants() -> str:
    """What each variant tests, or its first fault. Experiments come first, with their sources and full-size settings."""
    faults = {name: problems for name in names() if (problems := file_faults(name))}
    known = {name: load_variant(name) for name in names() if name not in faults}
    of = {name: miniature_of(name) for name, variant in known.items() if "experiment" in variant}
    experiments: list[Row] = []
    for name in [name for name, miniature in of.items() if name == miniature]:
        source = [[f"after “{one['title']}”", one["url"]] for one in known[name]["experiment"].get("sources", [])]
        experiments.append((name, [known[name]["tests"], *(source[0] if source else [])]))
        full = [other for other, miniature in of.items() if miniature == name and other != name]
        experiments += [(f"  {other}", [f"full size of {name}: {known[other]['tests']}"]) for other in full]
    listed = {name.strip() for name, _ in experiments}
    broken = {name: f"broken: {in_a_line(problems)}" for name, problems in faults.items()}
    others = [(name, [broken.get(name) or known[name]["tests"]]) for name in names() if name not in listed]
    width = max((len(name) for name, _ in experiments + others), default=0)
    groups = (_headed("Experiments of the field", experiments, width), _headed("Variants of params.yaml", others, width))
    return "\n\n".join("\n".join(lines) for lines in map(list, groups) if lines)


def miniature_of(name: str) -> str:
    """The experiment that a variant is: itself if it has a question, or else the next one below it, as its full-size settings.

    "" if there is none, because the file of that one is broken.
    """
    return next((part for part in reversed(parts(name)) if "question" in load_variant(part).get("experiment", {})), "")


def _headed(title: str, rows: list[Row], width: int) -> Iterator[str]:
    """A heading, and each row with its texts wrapped beside its name; nothing without rows."""
    if rows:
        yield title
    for name, texts in rows:
        wrapped = [
            textwrap.wrap(text, WIDTH - width - 4, break_long_words=False, break_on_hyphens=False)  # an address stays whole
            for text in texts
        ]
        for n, line in enumerate(line for lines in wrapped for line in lines):
            yield f"  {name if n == 0 else '':{width}}  {line}"
