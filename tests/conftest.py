"""Tiny real things that the tests share: a random two-layer llama with its tokenizer, and adapters on it."""

import os
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parent.parent
CONFIG = {
    "model_type": "llama",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}


LONG = (
    *("test_walkthrough", "test_kills", "test_cluster", "test_edits", "test_branch_edits", "test_leftovers", "test_hermetic"),
    *("test_family", "test_interruption", "test_samples", "test_same_bytes", "test_sharing", "test_imports", "test_check"),
    *("test_build", "test_patches", "test_repository", "test_experiments", "test_experiment", "test_start"),
    *("test_sabotaged_builds", "test_sabotaged_families"),
)


@pytest.fixture(scope="session", autouse=True)
def in_the_root():
    """Schemas and the licence's text are read relative to the project's root."""
    before = Path.cwd()
    os.chdir(ROOT)
    yield ROOT
    os.chdir(before)


@pytest.fixture(scope="session")
def tiny_pin() -> dict:
    """The section `base.random` of params.yaml that makes the tiny model."""
    return {"seed": 0, "vocab_size": 400, "config": CONFIG}


@pytest.fixture(scope="session")
def tiny_base(in_the_root, tiny_pin, tmp_path_factory) -> Path:
    """The folder of the tiny base model."""
    from cantica.base_model.random_model import from_random

    folder = tmp_path_factory.mktemp("base")
    from_random(tiny_pin, folder)
    return folder


@pytest.fixture
def tiny_model(tiny_base):
    """A function that loads the tiny base model anew: (model, tokenizer)."""
    from cantica.engine.model import load_base

    return lambda: load_base(tiny_base)


@pytest.fixture
def adapted(tiny_model):
    """A function: (model, tokenizer) with LoRA layers, which change the model unless `effect` is False."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    from cantica.engine.lora import LoraShape, new_adapter

    def load(shape: LoraShape, dropout: float = 0.0, seed: int = 0, effect: bool = True):
        model, tokenizer = tiny_model()
        new_adapter(model, shape, dropout, seed)
        if effect:
            tensors = tree_flatten(model.trainable_parameters())
            model.load_weights(
                [(name, mx.random.normal(w.shape) * 0.3) for name, w in tensors if name.endswith("lora_b")], strict=False
            )
        return model, tokenizer

    return load


@pytest.fixture
def encoded(tiny_model):
    """A function: the examples of tests/support/examples.py as records of the tiny model."""
    from cantica.engine.tokens import encode_examples
    from tests.support.examples import EXAMPLES

    _, tokenizer = tiny_model()
    return lambda loss_on=("thinking", "answer"), limit=256: encode_examples(tokenizer, EXAMPLES, loss_on, limit, "x")


@pytest.fixture
def fake():
    """A function that starts a fake language-model server; its argument maps (request number, messages) to a reply."""
    from tests.support.servers import Fake

    servers = []

    def start(behave) -> Fake:
        servers.append(Fake(behave))
        return servers[-1]

    yield start
    for server in servers:
        server.server.shutdown()


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A function: a project with variants applied, built once for all test processes."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared

    def project(build, *variants: str) -> Path:
        folder = shared / "built elsewhere" / "-".join(variants)
        folder.parent.mkdir(exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not (ready := Path(f"{folder}.ready")).exists():
                build(folder, *variants)
                ready.touch()
        return folder

    return project


@pytest.fixture(scope="session")
def smoke(built) -> Path:
    """The smoke variant, built by another user; copy it to change it."""
    from tests.support.projects import build_elsewhere

    return built(build_elsewhere, "smoke")


@pytest.fixture(scope="session")
def branches(built) -> Path:
    """A tree with every kind of step, sample and arm that needs no server, built by another user; copy it to change it."""
    from tests.support.projects import build_elsewhere

    return built(build_elsewhere, "smoke", "branches")


@pytest.fixture(scope="session")
def two_steps(built) -> Path:
    """A random olmo3 with 4-bit weights, a sliding window and full attention, on two categories; copy it to change it."""
    from tests.support.projects import build

    return built(build, "smoke", "olmo3")


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    from tests.support.browser import CHROMIUM

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def browse(browser):
    """A function: a page in a new window, which asks for nothing but files and reports no error."""
    contexts, faults = [], []

    def page(address: str, width: int = 1200, scheme: str = "light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        contexts[-1].set_default_timeout(120_000)  # of a machine that is busy
        found = contexts[-1].new_page()
        found.on("pageerror", lambda error: faults.append(str(error)))
        found.on("request", lambda request: None if request.url.startswith("file:") else faults.append(request.url))
        found.goto(address)
        return found

    yield page
    for context in contexts:
        context.close()
    assert faults == []


def pytest_collection_modifyitems(items):
    """Tests marked slow wait for CANTICA_SLOW=1. LONG files come first, so that none is left for one process alone."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))
    if os.environ.get("CANTICA_SLOW") != "1":
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="minutes: set CANTICA_SLOW=1"))


def pytest_report_header() -> str:
    from tests.support.kills import KILLS, SEED

    return f"test_kills.py: CANTICA_KILLS={KILLS} CANTICA_KILL_SEED={SEED}"
