"""Load the scenario templates of a category, and check them before any is rendered.

A template is two files: `<split>/<name>.j2`, a Jinja template, and `<split>/<name>.yaml`, its slots. Its blocks are the four of
a witnessed scenario, or those of a plain chat. All templates of a category have the same form.
"""

from dataclasses import dataclass
from pathlib import Path

import jinja2
from jinja2 import FileSystemLoader, StrictUndefined, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cantica.core.documents import Validator, raise_any, read_text, validator
from cantica.core.errors import InputError, Problem
from cantica.scenarios.definition import Definition, failure_faults, load_definition
from cantica.scenarios.scenario import BLOCKS, OPTIONAL, PLAIN_BLOCKS, SPLITS, Form, Split
from cantica.scenarios.slots import Constraint, Slots, Value, allowed, load_slots
from cantica.scenarios.template_checks import template_faults


@dataclass(frozen=True)
class Template:
    """A compiled template with the slots, the constraints and the paired slot of its YAML file."""

    file: Path
    compiled: jinja2.Template
    slots: Slots
    constraints: list[Constraint]
    paired: str | None

    @property
    def form(self) -> Form:
        """Return whether it renders witnessed scenarios or plain chats."""
        return "plain" if "prompt" in self.compiled.blocks else "witnessed"

    @property
    def group(self) -> int:
        """Return the number of scenarios of each combination of values: one for each value of the paired slot."""
        return len(self.slots[self.paired]) if self.paired else 1

    def allows(self, values: dict[str, Value]) -> bool:
        """Return whether a combination of one value per slot satisfies every constraint."""
        return allowed(values, self.constraints)


@dataclass(frozen=True)
class Category:
    """The folder of a category: its definition, and the templates of each split in order of file name."""

    folder: Path
    definition: Definition
    templates: dict[Split, list[Template]]

    @property
    def form(self) -> Form:
        """Return the form of its templates."""
        return next((template.form for templates in self.templates.values() for template in templates), "witnessed")


def load_category(folder: Path, library: Path) -> Category:
    """Load and check the folder of a category. Raises InputError with every fault.

    library: the folder with the macros that templates share.
    """
    definition = load_definition(folder)
    environment = _environment(library)
    problems: list[Problem] = []
    templates = {split: _load_split(environment, folder / split, problems) for split in SPLITS}
    problems += _form_faults(folder, definition, [template for split in SPLITS for template in templates[split]])
    raise_any(problems)
    return Category(folder, definition, templates)


def _form_faults(folder: Path, definition: Definition, templates: list[Template]) -> list[Problem]:
    """Return a Problem if templates have different forms, or if witnessed scenarios have no `failure`."""
    first: dict[Form, Template] = {}
    for template in templates:
        first.setdefault(template.form, template)
    problems = failure_faults(definition, folder, "a witnessed scenario") if "witnessed" in first else []
    if len(first) == 2:
        plain, witnessed = (first[form].file.relative_to(folder).as_posix() for form in ("plain", "witnessed"))
        got = f"a template of plain chats, {plain}, beside one of witnessed scenarios, {witnessed}"
        problems.append(Problem(str(folder), "", got, "templates of one form", "make them two categories"))
    return problems


def _environment(library: Path) -> ImmutableSandboxedEnvironment:
    """Return a sandbox in which a template sees its slots, and the macros of each library file under the name of the file."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, loader=FileSystemLoader(library))
    # The rendered text must depend on the slot values alone, so nothing random and no other names are available.
    environment.globals.clear()
    del environment.filters["random"]
    for file in sorted(library.glob("*.j2")):
        read_text(file)  # its error names a file that is not UTF-8; Jinja's does not
        try:
            environment.globals[file.stem] = environment.get_template(file.name).module
        except TemplateSyntaxError as error:
            raise InputError(Problem(str(file), f"line {error.lineno}", str(error.message), "a Jinja template")) from None
    environment.loader = None  # only library files may include other files
    return environment


def _load_split(environment: jinja2.Environment, folder: Path, problems: list[Problem]) -> list[Template]:
    """Load the templates of a split, and append their faults to `problems`."""
    check = validator("writers/template/slots")
    templates = []
    for name in sorted({file.stem for ending in ("j2", "yaml") for file in folder.glob(f"*.{ending}")}):
        try:
            templates.append(_load_template(environment, folder / f"{name}.j2", check))
        except InputError as error:
            problems.extend(error.problems)
    return templates


def _load_template(environment: jinja2.Environment, file: Path, check: Validator) -> Template:
    """Load and check one template. Raises InputError."""
    values = file.with_suffix(".yaml")
    for path, other in ((file, values), (values, file)):
        if not path.exists():
            raise InputError(Problem(str(path), "", "no such file", f"the other half of {other.name}"))
    slots, constraints, paired = load_slots(values, check)
    text = read_text(file)
    try:
        tree, compiled = environment.parse(text), environment.from_string(text)
    except TemplateSyntaxError as error:
        raise InputError(Problem(str(file), f"line {error.lineno}", str(error.message), "a Jinja template")) from None
    problems = []
    if set(compiled.blocks) != set(BLOCKS) and set(compiled.blocks) - set(OPTIONAL) != set(PLAIN_BLOCKS) - set(OPTIONAL):
        got = f"the blocks {', '.join(compiled.blocks) or 'none'}"
        expected = f"exactly the blocks {', '.join(BLOCKS)}; or prompt and answer, and system and thinking if wanted"
        problems.append(Problem(str(file), "", got, expected))
    # `find_undeclared_variables` changes the tree that it gets: it folds constants. So it gets a tree of its own.
    used = meta.find_undeclared_variables(environment.parse(text)) - environment.globals.keys()
    raise_any(problems + template_faults(tree, used, slots, file))
    return Template(file, compiled, slots, constraints, paired)
