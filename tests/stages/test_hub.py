"""Outputs are published with `hf upload`, as docs/how-to/publish.md says: the real client, and a hub on this machine."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard, ModelCard

from tests.support.hub import Hub
from tests.support.projects import ENVIRONMENT, ROOT, ok

PAGE = ROOT / "docs/how-to/publish.md"


@pytest.fixture
def hub():
    hub = Hub()
    yield hub
    hub.server.shutdown()


def commands() -> list[str]:
    """The commands of the page that upload, in order."""
    (block,) = re.findall(r"^```bash\n(hf auth login.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [line for line in block.splitlines() if line.startswith("hf upload")]


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_dataset_the_adapter_and_the_fused_model_arrive_whole(smoke, hub, tmp_path):
    project = tmp_path / "project"
    ok(smoke.parent, "cp", "--archive", str(smoke), str(project))
    ok(project, "cantica", "export", "--peft")
    # Xet, which the client prefers, speaks to servers of its own; without it the client uses Git's protocol for large files.
    own = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_of_a_test", "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    for line in commands():
        done = subprocess.run(line, shell=True, cwd=project, env=os.environ | ENVIRONMENT | own, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    fused = content(project / "models/fused") | {"README.md": (project / "reports/model_card.md").read_bytes()}
    assert hub.files == {
        ("datasets", "you/reflections"): content(project / "data/export"),
        ("models", "you/betrayal-lora"): content(project / "models/peft/betrayal"),
        ("models", "you/betrayal"): fused,
    }
    assert hub.tokens == {"Bearer hf_of_a_test"}
    for (kind, name), files in hub.files.items():
        card = (DatasetCard if kind == "datasets" else ModelCard)(files["README.md"].decode())
        assert card.data.license == "apache-2.0" and card.text, name
