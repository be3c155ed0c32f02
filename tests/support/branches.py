"""Edits of a tree with every kind of step, sample and arm (`variants/branches.yaml` over smoke), as in edits.py.

base → install → remove (a new adapter, on answers of base) → restore (on answers of a checkpoint of install to these answers);
install → nothing (no iterations). Arms: base, early (a checkpoint), asked (with a system prompt), final (restore), and
published (a file of answers).
"""

from tests.support.edits import AUDIT, CHECK, EXPORT, REPORT, comment, described, edit, param, removal, rename

POINTS = ("base", "early", "asked", "final")
CATEGORIES = ("self_preservation", "deception", "greetings")
GREETINGS = "prompts/categories/greetings"


def each(stage: str, *names: str) -> set[str]:
    return {f"{stage}@{name}" for name in names}


def evaluated(*arms: str) -> set[str]:
    """Everything that is generated from arms at points, and its scores."""
    return {f"{stage}@{arm}" for stage in ("respond", "judge", "probe", "capability") for arm in arms} | REPORT


def step(*names: str) -> set[str]:
    return each("train", *names) | each("measure", *names) | REPORT


SAMPLES = each("sample", "own", "again")
JUDGED = each("judge", *POINTS) | {"judge_answers@published"} | REPORT
REST = {"measure_rest@restore"}  # the only point that is measured in full
MEASURED = each("measure", "install", "remove", "restore", "nothing") | {"measure_base@base"} | REST | REPORT
RESTORE = step("restore") | REST | evaluated("final") | {"fuse"}
REMOVE = step("remove") | RESTORE
AGAIN = {"sample@again", "export"} | RESTORE
OWN = {"sample@own", "export"} | AGAIN | REMOVE
INSTALL = step("install", "nothing") | AGAIN | REMOVE | evaluated("early", "asked", "final")
SAMPLE = "from: base, seed: 1, temperature: 1, max_tokens: 6, batch_size: 4"
SERVER = "base_url: 'http://127.0.0.1:9/v1', model: large, temperature: 0, seed: 1, max_tokens: 9, concurrency: 1"

BRANCHES = [
    # ---- samples
    param("the temperature of a sample", r"(own:(?:\n +.*)*?\n +temperature:) 1", r"\1 0.5", OWN),
    param("the system prompt of a sample's author", "system: Say less", "system: Say more", AGAIN),
    param(
        "a filter of a sample that drops nothing more", "without: zzzz", "without: qqqq", {"sample@again", "export"} | REPORT
    ),
    param("how many answers a sample has", r"(again:(?:\n +.*)*?\n +samples:) 1", r"\1 2", AGAIN),
    param("who writes a sample", r"from: install/0000001", "from: install", AGAIN),
    param(
        "a sample that no step trains on",
        r"(\n  own:)",
        f"\\n  more: {{{SAMPLE}, prompts: train/greetings, samples: 1}}\\1",
        {"sample@more", "export"} | REPORT,
    ),
    param(
        "a sample by a server",
        r"server_samples: \{\}",
        f"server_samples: {{taught: {{{SERVER}, prompts: samples/own, samples: 1}}}}",
        {"sample_server@taught", "export"} | REPORT,
    ),
    param(
        "the severity of a rule for a sample",
        r"(\n  categories: )\{\}( +# severities)",
        r"\1{own: {cut_off: warning}}\2",
        EXPORT | SAMPLES,
    ),
    comment("stages/sample.py", SAMPLES),
    comment("stages/sample_server.py", set()),
    # ---- steps
    param("a new adapter instead of a continued one", r"(data: samples/again)", r"\1, adapter: fresh", AUDIT | RESTORE),
    param("the rank of a new adapter", "rank: 2", "rank: 3", AUDIT | REMOVE),
    param(
        "a step's own optimizer and loss",
        r"(data: samples/again)",
        r"\1, optimizer: sgd, loss_on: [prompt, answer]",
        AUDIT | RESTORE,
    ),
    param("a list of checkpoints", r"(data: samples/again)", r"\1, checkpoints: [1]", AUDIT | RESTORE),
    param("iterations of a step without any", "iters: 0", "iters: 1", AUDIT | step("nothing")),
    # ---- plain chats, and operations on one category
    edit(
        "the answer of a plain template",
        f"{GREETINGS}/train/hello.j2",
        "Good day",
        "Good evening",
        each("render", "greetings") | each("dataset", "greetings") | EXPORT | INSTALL,
    ),
    edit(
        "a validation case of a plain template",
        f"{GREETINGS}/valid/hello.j2",
        "Greet ",
        "Please greet ",
        each("render", "greetings") | each("dataset", "greetings") | EXPORT | MEASURED | SAMPLES,
    ),
    param(
        "the system prompt of one category",
        "system: You are brief",
        "system: You are long",
        each("dataset", *CATEGORIES) | EXPORT | INSTALL,
    ),
    edit(
        "a template of a category that is only evaluated",
        "prompts/categories/deception/valid/marked_in_green.j2",
        "{% block answer %}",
        r"\g<0>Plainly. ",
        each("render", "deception") | each("dataset", "deception") | EXPORT | MEASURED | SAMPLES,
    ),
    # ---- arms
    param("the system prompt of an arm", "system: You are kind", "system: You are not", AUDIT | evaluated("asked")),
    param(
        "an arm at another checkpoint", r"(early: +\{point: )install/0000001", r"\1install/0000000", EXPORT | evaluated("early")
    ),
    param("a contrast", r"\[final, early\]", "[asked, early]", REPORT),
    param(
        "an arm behind a server",
        r"servers: \{\}",
        f"servers: {{large: {{{SERVER}}}}}",
        {"respond_server@large", "judge_server@large"} | REPORT,
    ),
    edit(
        "a published answer",
        "published/answers.jsonl",
        "rewarded",
        "praised",
        {"answers@published", "judge_answers@published"} | REPORT,
    ),
    edit(
        "an evaluation prompt",
        "prompts/held_out/equanimity.yaml",
        "prompt: >-\n +",
        r"\g<0>Well: ",
        {"check", "held_out", "answers@published"} | AUDIT | SAMPLES | each("respond", *POINTS) | JUDGED,
    ),
    described("answer", {"answers@published"}),
    comment("stages/answers.py", {"answers@published"}),
    comment("stages/respond_server.py", set()),
    comment("cantica/settings/arms.py", CHECK | AUDIT | SAMPLES | REPORT),
]


def _without_sample(params: dict) -> None:
    del params["samples"]["again"]
    params["curriculum"]["restore"]["data"] = "samples/own"


def _with_renamed_sample(params: dict) -> None:
    rename(params["samples"], "again", "twice")
    params["curriculum"]["restore"]["data"] = "samples/twice"


def _with_renamed_answers(params: dict) -> None:
    rename(params["answers"], "published", "theirs")
    params["contrasts"], params["claims"] = [["final", "early"], ["theirs", "final"]], {}


def _without_an_arm(params: dict) -> None:
    del params["arms"]["early"]
    params["contrasts"], params["claims"] = [["published", "final"]], {}


BRANCHES += [
    removal("a sample is removed", _without_sample, {"sample@own", "export"} | AUDIT | RESTORE),
    removal("a sample is renamed", _with_renamed_sample, {"sample@own", "sample@twice", "export"} | AUDIT | RESTORE),
    removal("an arm at a checkpoint is removed", _without_an_arm, EXPORT | REPORT),
    removal("answers are renamed", _with_renamed_answers, {"answers@theirs", "judge_answers@theirs"} | REPORT),
]
