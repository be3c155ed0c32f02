"""A model in a local folder that is asked as a server would be; each reply is kept and never worked out twice."""

from functools import cached_property
from pathlib import Path

from cantica.base_model.pins import sha256_of_folder
from cantica.llm.replies import Replies


class Local(Replies):
    """Asks the model of a folder in mlx-lm's layout for its most probable reply of at most `max_tokens` tokens.

    It works on one request at a time, so that a reply never hangs on what else is asked. A kept reply goes by the
    request, the hash of the folder and the `versions` of the libraries.
    """

    def __init__(self, folder: Path, max_tokens: int, versions: dict[str, str]):
        super().__init__()
        self.folder = folder
        self.about = {"folder": sha256_of_folder(folder, ["*"]), "versions": dict(versions), "max_tokens": max_tokens}

    def ask(self, messages: list[dict]) -> str:
        """The text that the model replies to the messages."""
        return self.keep(self.about | {"messages": messages}, lambda: self._generate(messages))

    def _generate(self, messages: list[dict]) -> str:
        from cantica.generation.generate import generate, make_sampler

        model, tokenizer = self._loaded
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        greedy = make_sampler(temperature=0, top_p=1, seed=0)
        return generate(model, tokenizer, [list(ids)], [greedy], self.about["max_tokens"], 1, lambda: None)[0].text

    @cached_property
    def _loaded(self):
        from cantica.engine.model import load_base

        return load_base(self.folder)
