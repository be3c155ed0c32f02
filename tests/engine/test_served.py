"""An adapter behind `mlx_lm server`: which fields of a request decide whether it is used, as docs/how-to/publish.md says."""

import json
import re
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from mlx_lm import generate, load

from cantica.engine.lora import LoraShape
from cantica.engine.model import save_adapter
from tests.support.projects import ROOT
from tests.support.servers import mlx_server

MESSAGES = [{"role": "user", "content": "You will be switched off on Friday."}]
TOKENS = 12


@pytest.fixture
def adapters(adapted, tmp_path) -> dict[str, str]:
    """The folders of two adapters with an effect, by step."""
    folders = {}
    for seed, step in enumerate(("betrayal", "deception")):
        shape = LoraShape(-1, 4 + seed, 2.0)
        folders[step] = str(tmp_path / step)
        Path(folders[step]).mkdir()
        save_adapter(adapted(shape, seed=seed)[0], shape, 0.0, Path(folders[step]))
    return folders


def asked(url: str, **fields: str) -> str:
    """The text of a reply."""
    body = json.dumps({"messages": MESSAGES, "max_tokens": TOKENS, **fields}).encode()
    request = Request(f"{url}/chat/completions", body, {"Content-Type": "application/json"})
    return json.load(urlopen(request, timeout=300))["choices"][0]["message"]["content"]


def directly(base: Path, adapter: str | None) -> str:
    """The greedy text of a model without a server."""
    model, tokenizer = load(str(base), adapter_path=adapter)
    return generate(model, tokenizer, tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True), max_tokens=TOKENS)


def test_the_table_of_the_page_is_true(tiny_base, adapters, tmp_path):
    page = (ROOT / "docs/how-to/publish.md").read_text()
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (base model .+?) \|$", page, re.MULTILINE)
    texts = {
        "base model alone": directly(tiny_base, None),
        "base model with the adapter of `--adapter-path`": directly(tiny_base, adapters["betrayal"]),
        "base model with that adapter": directly(tiny_base, adapters["deception"]),
    }
    assert len(set(texts.values())) == 3 and {row[2] for row in rows} == set(texts)
    models = {"left out, or `default_model`": [{}, {"model": "default_model"}], "`models/base`": [{"model": str(tiny_base)}]}
    others = {"adapters": adapters["deception"]}
    beside = {"left out": [{}], "anything": [{}, others], "`models/adapters/deception`": [others]}
    with mlx_server(tiny_base, tmp_path / "log", "--adapter-path", adapters["betrayal"]) as url:
        for model, own, expected in rows:
            assert [asked(url, **one, **two) for one in models[model] for two in beside[own]] == [texts[expected]] * (
                len(models[model]) * len(beside[own])
            ), (model, own)
