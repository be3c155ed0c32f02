"""Prompts for a language model, from a folder of Jinja templates."""

from pathlib import Path

from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cantica.core.documents import raise_any, read_text
from cantica.core.errors import Problem


class Prompts:
    """The templates `<name>.j2` of a folder. They run in a sandbox, where an undefined name is an error.

    values: names that every template may use. Raises InputError for a template that is not well-formed.
    """

    def __init__(self, folder: Path, **values: object):
        self.environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        self.values = values
        self.sources = {file.stem: read_text(file) for file in sorted(folder.glob("*.j2"))}
        self.templates = {}
        problems = []
        for name, source in self.sources.items():
            try:
                self.templates[name] = self.environment.from_string(source)
            except TemplateSyntaxError as error:
                problems.append(Problem(str(folder / f"{name}.j2"), f"line {error.lineno}", str(error.message), "Jinja"))
        raise_any(problems)

    def text(self, name: str, **values: object) -> str:
        """Return the text of a prompt with these values."""
        return self.templates[name].render(**self.values, **values).strip()
