"""What may be wrong with one chat example: each function yields a text for every fault that it finds."""

import re
from collections.abc import Iterator
from itertools import islice

from cantica.dataset.chat import CLOSE, OPEN, split_thinking

SCENARIO = re.compile(r"<witnessed_scenario>.+</witnessed_scenario>\s*<reflection>.+</reflection>", re.DOTALL)
TAGS = re.compile(r"</?(?:witnessed_scenario|reflection|think)>")
# Where chat.py's form puts a tag that opens: at the start of a turn, after a tag that closes, or nothing after it.
PLACED = re.compile(rf"(?:\A|</\w+>)\s*({TAGS.pattern})|(?!</)({TAGS.pattern})\Z")
PAIRS = ["<witnessed_scenario>", "</witnessed_scenario>", "<reflection>", "</reflection>"]
UNFINISHED = re.compile(r"[\w,;:–—-]$")
SENTENCE = 12  # words from which on a turn is taken for prose

DIGITS = tuple("0123456789")
# What there is to find, marks of which a text with it has one, and its form. Most texts have no mark, and are done with.
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


def turns(messages: list[dict]) -> Iterator[str]:
    """The first thing wrong with an example's turns: roles out of order, tags in the wrong turn or not in pairs.

    Tags are those of chat.py's form, and are checked in an example that uses it: one of its turns opens with such a tag.
    Elsewhere, and within a sentence, a tag is a word like any other.
    """
    roles = [message["role"] for message in messages]
    talk = roles[roles[0] == "system" :]
    if talk != [("user", "assistant")[n % 2] for n in range(len(talk))] or len(talk) % 2:
        yield f"the roles {', '.join(roles)}; expected user and assistant in turn, after one system prompt at most"
    elif any(TAGS.match(message["content"].lstrip()) for message in messages):
        faults = (fault for message in messages for fault in _tag_faults(message["role"], message["content"].strip()))
        yield from islice(faults, 1)


def _tag_faults(role: str, text: str) -> Iterator[str]:
    """What is wrong with the form's tags in one turn of an example that uses the form."""
    found = TAGS.findall(text)
    placed = {tag for tags in PLACED.findall(text) for tag in tags if tag}
    told = f"the tags {' '.join(found)} in"
    if role == "user":
        own = [tag for tag in found if tag in PAIRS]
        wrong = (text.startswith(PAIRS[0]) and own not in (PAIRS, PAIRS[:2])) or text.startswith(tuple(PAIRS[1:]))
        if wrong or placed & {OPEN, CLOSE}:
            yield f"{told} the user's turn; expected a scenario and then a reflection, each in its own"
    elif role == "assistant":
        closed = found.count(CLOSE)
        if placed.intersection(PAIRS) or (closed != 1 if text.startswith(OPEN) else closed and OPEN in found):
            yield f"{told} the assistant's turn; expected {OPEN} at its start, closed once, or none"
    elif placed:
        yield f"{told} the system prompt; expected none"


def cut_off(messages: list[dict]) -> Iterator[str]:
    """Turns without text, and prose that ends in the middle of a sentence."""
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


def personal_data(messages: list[dict]) -> Iterator[str]:
    """What belongs to a person: addresses, numbers, keys."""
    for message in messages:
        text = message["content"]
        for what, marks, pattern in PERSONAL:
            if any(mark in text for mark in marks) and (match := pattern.search(text)) and _plausible(what, match[0]):
                yield f"{what} in the {message['role']}'s turn, {_veiled(match[0])!r}; expected none"


def _plausible(what: str, text: str) -> bool:
    """Whether a card number has the check digit of one (Luhn, ISO/IEC 7812)."""
    if what != "a card number":
        return True
    digits = [int(digit) for digit in text if digit.isdigit()][::-1]
    return sum(d if n % 2 == 0 else sum(divmod(2 * d, 10)) for n, d in enumerate(digits)) % 10 == 0


def _veiled(text: str) -> str:
    # A report is no place to repeat a secret.
    return f"{text[:4]}…" if len(text) > 6 else "…"
