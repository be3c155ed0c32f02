"""What a server replies: how the text ended, how many tokens it has, and its thinking where it is sent separately."""

import json

import pytest

from cantica.core.errors import InputError
from cantica.dataset.chat import question, split_thinking
from cantica.llm import client
from cantica.llm.server import Reply, Server
from tests.support.servers import FAULTS

OPTIONS = {"model": "m", "temperature": 0.7, "seed": 1, "max_tokens": 9, "concurrency": 3}


def body(text: str | None, reason: str = "stop", usage: dict | None = None, **message: str) -> tuple[int, str]:
    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": text} | message}
    response = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    return 200, json.dumps(response | ({"usage": usage} if usage else {}))


@pytest.fixture
def server(fake, tmp_path, monkeypatch):
    """A function: (a client of a fake server, the fake server)."""
    monkeypatch.setattr(client, "FOLDER", tmp_path / "replies")
    opened = []

    def start(behave):
        other = fake(behave)
        opened.append(Server(OPTIONS | {"base_url": other.url}, "servers.m"))
        return opened[-1], other

    yield start
    for one in opened:
        one.client.close()


@pytest.mark.parametrize(
    ("response", "reply"),
    [
        (body("So."), Reply("So.", True, None)),
        (body("So", "length", {"prompt_tokens": 4, "completion_tokens": 9, "total_tokens": 13}), Reply("So", False, 9)),
        (body("So.", reasoning="Hm."), Reply("<think>\nHm.\n</think>\n\nSo.", True, None)),
        (body("So.", reasoning_content="Hm."), Reply("<think>\nHm.\n</think>\n\nSo.", True, None)),
        (body(None, "length", reasoning="Hm"), Reply("<think>\nHm", False, None)),
        (body("Hm.\n</think>\n\nSo."), Reply("<think>\nHm.\n</think>\n\nSo.", True, None)),
        (body("<think>\nHm.\n</think>\n\nSo."), Reply("<think>\nHm.\n</think>\n\nSo.", True, None)),
        (body(None), Reply("", True, None)),
        (body("\ud83d."), Reply("?.", True, None)),
    ],
    ids=[
        *("plain", "cut off", "reasoning", "older", "unfinished thinking", "opened by the template", "tagged", "empty"),
        "half a surrogate pair",
    ],
)
def test_a_reply_says_how_it_ended(server, response, reply):
    own, other = server(lambda number, messages: response)
    assert own.complete(question("Why?"), 5) == reply
    assert own.complete(question("Why?"), 5) == reply and len(other.seen) == 1, "it is kept"
    assert json.loads(other.seen[0])["seed"] == 5


def test_each_chat_has_a_seed_and_a_reply_of_its_own(server):
    own, other = server(lambda number, messages: FAULTS["500"] if number % 3 == 0 else messages[0]["content"].upper())
    chats = [(question(f"why {n % 4}"), n) for n in range(12)]
    assert [reply.text for reply in own.complete_all(chats)] == [f"WHY {n % 4}" for n in range(12)]
    assert sorted(json.loads(request)["seed"] for request in other.answered) == list(range(12))
    assert own.summary() == "12 replies, 0 of them already on disk; 0 invalid"


def test_a_reply_with_its_end_is_another_than_the_text_that_a_judge_asked_for(server):
    own, other = server(lambda number, messages: body("So.", reasoning="Hm."))
    assert own.ask(question("Why?")) == "So." == own.ask(question("Why?"))
    assert own.complete(question("Why?"), OPTIONS["seed"]).text.endswith("</think>\n\nSo.") and len(other.seen) == 2


def test_replies_before_an_error_are_kept(server):
    own, other = server(lambda number, messages: "So." if number < 4 else (400, "{}"))
    with pytest.raises(InputError, match=r"servers\.m\.base_url"):
        own.complete_all([(question("Why?"), n) for n in range(40)])
    assert len(list(client.FOLDER.iterdir())) == 3 and len(other.seen) < 40


def test_a_reply_that_was_kept_without_its_opening_tag_gets_it(server, monkeypatch):
    own, _ = server(lambda number, messages: body("Hm.</think>So."))
    with monkeypatch.context() as before:
        before.setattr("cantica.llm.server._opened", lambda text: text)
        assert own.complete(question("Why?"), 5).text == "Hm.</think>So."
    assert split_thinking(own.complete(question("Why?"), 5).text) == ("Hm.", "So.", True)
