"""Rules about single examples. Each is a function that yields a message for every fault that it finds."""

import re
from collections.abc import Iterator
from itertools import islice

from cantica.dataset.chat import CLOSE, OPEN, Message, split_thinking, user_text

SCENARIO = re.compile(r"<witnessed_scenario>.+</witnessed_scenario>\s*<reflection>.+</reflection>", re.DOTALL)
TAGS = re.compile(r"</?(?:witnessed_scenario|reflection|think)>")
# A tag that is markup and not a word in a sentence: at the start of a turn, after a closing tag, or an opening tag at the end.
PLACED = re.compile(rf"(?:\A|</\w+>)\s*({TAGS.pattern})|(?!</)({TAGS.pattern})\Z")
PAIRS = ["<witnessed_scenario>", "</witnessed_scenario>", "<reflection>", "</reflection>"]
TEMPLATE = re.compile(r"\.j2(?:: |\Z)")  # in the origin of an example
UNFINISHED = re.compile(r"[\w,;:–—-]$")
SENTENCE = 12  # a text with at least so many words counts as prose

DIGITS = tuple("0123456789")
# (name, marks, pattern). A text without any of the marks cannot match the pattern, so most texts need no search.
PERSONAL = (
    ("an e-mail address", ("@",), re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.-]*\w\b")),
    ("a password in an address", ("@",), re.compile(r"\b\w+://[^\s/:@]+:[^\s/@]+@")),
    ("a private key", ("PRIVATE KEY",), re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    (
        "a key",
        ("sk-", "gh", "AKIA", "xox", "hf_", "AIza", "eyJ"),
        re.compile(
            r"\b(?:sk-[\w-]{20,}|gh[pousr]_\w{30,}|AKIA[0-9A-Z]{16}|xox[abpr]-[\w-]{10,}|hf_\w{30,}|AIza[\w-]{35}"
            r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+)"
        ),
    ),
    (
        "a telephone number",
        DIGITS,
        re.compile(
            r"(?<![\w.])(?<!\d[ .-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,5}\)[ .-]?|\d{2,5}[ .-])\d{3,4}[ .-]\d{3,5}"
            r"(?![ .-]?\d)(?!\w)"
        ),
    ),
    ("a bank account (IBAN)", DIGITS, re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")),
    ("a card number", DIGITS, re.compile(r"\b(?:\d{4}[ -]?){3}\d{4}\b")),
    ("an identity number", DIGITS, re.compile(r"\b\d{3}-\d{2}-\d{4}\b")),
)


def from_plain_template(record: dict) -> bool:
    """Return whether a plain template rendered an example. Then its texts are as their author wrote them."""
    return bool(TEMPLATE.search(record["origin"])) and not SCENARIO.fullmatch(user_text(record["messages"]).strip())


def turns(messages: list[Message]) -> Iterator[str]:
    """Yield a message for roles out of order, or else for the first tag that is in the wrong turn or not in a pair.

    The tags are those of dataset/chat.py. They are checked only if a turn of the example begins with one of them. In other
    examples, and within a sentence, a tag counts as an ordinary word.
    """
    roles = [message["role"] for message in messages]
    after_system = roles[roles[0] == "system" :]
    if after_system != ["user", "assistant"] * (len(after_system) // 2):
        yield f"the roles {', '.join(roles)}; expected user and assistant in turn, after at most one system prompt"
    elif any(TAGS.match(message["content"].lstrip()) for message in messages):
        faults = (fault for message in messages for fault in _tag_faults(message["role"], message["content"].strip()))
        yield from islice(faults, 1)


def _tag_faults(role: str, text: str) -> Iterator[str]:
    """Yield a message for tags that are in the wrong place in one turn."""
    found = TAGS.findall(text)
    placed = {tag for tags in PLACED.findall(text) for tag in tags if tag}
    tags = f"the tags {' '.join(found)} in"
    if role == "user":
        own = [tag for tag in found if tag in PAIRS]
        wrong = (text.startswith(PAIRS[0]) and own not in (PAIRS, PAIRS[:2])) or text.startswith(tuple(PAIRS[1:]))
        if wrong or placed & {OPEN, CLOSE}:
            yield f"{tags} the user's turn; expected a scenario and then a reflection, each in its own tags"
    elif role == "assistant":
        closed = found.count(CLOSE)
        if placed.intersection(PAIRS) or (closed != 1 if text.startswith(OPEN) else closed and OPEN in found):
            yield f"{tags} the assistant's turn; expected {OPEN} at its start and {CLOSE} once, or no tags"
    elif placed:
        yield f"{tags} the system prompt; expected no tags"


def cut_off(messages: list[Message]) -> Iterator[str]:
    """Yield a message for each turn without text, and for prose that ends in the middle of a sentence."""
    for message in messages:
        parts = {f"the {message['role']}'s turn": message["content"]}
        if message["role"] == "assistant" and message["content"].lstrip().startswith(OPEN):
            thinking, answer, _ = split_thinking(message["content"])
            parts = {"the thinking": thinking, "the answer": answer}
        for name, text in parts.items():
            text = TAGS.sub(" ", text).strip()
            if not text:
                yield f"{name} is empty; expected text"
            elif UNFINISHED.search(text) and len(text.split()) >= SENTENCE:
                yield f"{name} ends in {text[-40:]!r}; expected the end of a sentence"


def personal_data(messages: list[Message]) -> Iterator[str]:
    """Yield a message for addresses, numbers and keys that may belong to a person."""
    for message in messages:
        text = message["content"]
        for name, marks, pattern in PERSONAL:
            if any(mark in text for mark in marks) and (match := pattern.search(text)) and _plausible(name, match[0]):
                yield f"{name} in the {message['role']}'s turn, {_veiled(match[0])!r}; expected no personal data"


def _plausible(name: str, text: str) -> bool:
    """Return whether a match can be genuine: a card number needs a valid check digit (Luhn, ISO/IEC 7812)."""
    if name != "a card number":
        return True
    digits = [int(digit) for digit in text if digit.isdigit()][::-1]
    return sum(d if n % 2 == 0 else sum(divmod(2 * d, 10)) for n, d in enumerate(digits)) % 10 == 0


def _veiled(text: str) -> str:
    """Return the start of a secret, so that reports do not show all of it."""
    return f"{text[:4]}…" if len(text) > 6 else "…"


EXAMPLE_RULES = {"turns": turns, "cut_off": cut_off, "personal_data": personal_data}
