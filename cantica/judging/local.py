"""A client for a language model in a local folder, for judges that need no server."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cantica.base_model.pins import sha256_of_folder
from cantica.dataset.chat import Message
from cantica.llm.client import Client

if TYPE_CHECKING:
    import mlx.nn as nn
    from mlx_lm.tokenizer_utils import TokenizerWrapper


class LocalModel(Client):
    """Generates greedy replies of at most `max_tokens` tokens. The folder has mlx-lm's layout.

    It handles one request at a time, so that a reply never depends on other requests. A stored reply is identified by the
    request, `max_tokens`, the hash of the folder and the `versions` of the libraries.
    """

    def __init__(self, folder: Path, max_tokens: int, versions: dict[str, str]):
        super().__init__()
        self.folder, self.max_tokens = folder, max_tokens
        self.about = {"folder": sha256_of_folder(folder, ["*"]), "versions": dict(versions), "max_tokens": max_tokens}

    def ask(self, messages: list[Message]) -> str:
        """Return the model's reply to a chat."""
        return self.keep(self.about | {"messages": messages}, lambda: self._generate(messages))

    def _generate(self, messages: list[Message]) -> str:
        from cantica.engine.tokens import render_chat
        from cantica.generation.generate import Sampler, generate

        model, tokenizer = self._loaded
        ids = tokenizer.encode(render_chat(tokenizer, messages, add_generation_prompt=True), add_special_tokens=False)
        greedy = Sampler(temperature=0, top_p=1, seed=0)
        return generate(model, tokenizer, [ids], [greedy], self.max_tokens, 1, lambda: None)[0].text

    @cached_property
    def _loaded(self) -> "tuple[nn.Module, TokenizerWrapper]":
        from cantica.engine.model import load_base

        return load_base(self.folder)
