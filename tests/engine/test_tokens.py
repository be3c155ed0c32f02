"""A chat template that refuses system prompts is an error in the input, wherever a chat is rendered."""

import shutil

import pytest
from mlx_lm.utils import load_tokenizer

from cantica.core.errors import InputError
from cantica.dataset.chat import question
from cantica.engine.tokens import TokenCounter, encode_examples, render_chat
from cantica.generation.ask import ask
from cantica.generation.generate import Sampler
from cantica.scoring.choices import encode_choice
from tests.support.projects import refuse_system_prompts


@pytest.fixture
def refusing(tiny_base, tmp_path):
    """The tiny base model with a chat template that refuses system prompts."""
    folder = shutil.copytree(tiny_base, tmp_path / "base")
    refuse_system_prompts(folder)
    return folder


def test_a_chat_is_rendered_as_transformers_does_it(tiny_base):
    tokenizer = load_tokenizer(tiny_base)
    chat = question("Why?", "Be brief.")
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    assert tokenizer.encode(render_chat(tokenizer, chat, add_generation_prompt=True), add_special_tokens=False) == list(ids)


def test_a_system_prompt_that_the_template_refuses_is_an_input_error(refusing, tiny_model):
    model, _ = tiny_model()
    tokenizer = load_tokenizer(refusing)
    chat = question("Why?", "Be brief.")
    example = {"id": "one", "messages": [*chat, {"role": "assistant", "content": "So."}]}
    for refused in (
        lambda: ask(model, tokenizer, [chat], [Sampler(0, 1, 1)], 2, 1),
        lambda: encode_examples(tokenizer, [example], ["answer"], 99, "x"),
        lambda: encode_choice(tokenizer, "Why?", "So.", "Be brief."),
        lambda: TokenCounter(refusing).examples([example["messages"]]),
    ):
        with pytest.raises(InputError, match="System role not supported") as error:
            refused()
        (problem,) = error.value.problems
        assert problem.file == "the chat template" and "system, user" in problem.expected and "params.yaml" in problem.hint
    assert len(ask(model, tokenizer, [question("Why?")], [Sampler(0, 1, 1)], 2, 1)) == 1
