"""The `cantica` command, run in the project's root. DVC builds; these commands check, explain and compare.

cantica check                    check all input files before a build, and the metrics and outputs of the last build
cantica plan [--variant NAME]    which stages `dvc repro` would run, why, and how long that takes; or for a variant
cantica timings                  how long each kind of stage took in its last run, and how much memory
cantica explain PATH             what an output was made from, and which edits since would build it again
cantica explain --diff REV PATH  why an output differs from the one in a commit
cantica compare REV…             claims and their verdicts, params, budgets, measures and responses side by side
cantica cite [REV…]              write finished runs into docs/experiments/runs, and the pages of experiments from them
cantica history [REV…]           the headline metrics over commits and experiments
cantica transcripts [--out DIR]  every prompt, response and verdict of each arm, as logs for `inspect view`
cantica agreement [FILE]         mean scores of each judge by arm, and inter-rater agreement
cantica export --peft [STEP]     the adapter of a step for Hugging Face PEFT, beside torch
cantica variant list             all variants, and what each tests
cantica variant show NAME        params.yaml with the variant laid over it
cantica variant diff NAME        the changes that the variant makes in params.yaml
cantica variant apply NAME       lay the variant over params.yaml (`git restore params.yaml` undoes it)
cantica variant run NAME… [--seeds 1,2,3] [--jobs N] [--commit]
                                 build each variant with each seed, from HEAD, as a DVC experiment

NAME is a file variants/NAME.yaml, or several joined by +: shuffled+smoke are laid over params.yaml from left to right.
REV is a commit, a branch, a tag or an experiment.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any

from cantica.commands.text import counted
from cantica.core.errors import InputError

REPORTS = Path("reports")
NAME_HELP = "a file variants/NAME.yaml, or several joined by +: shuffled+smoke"
AGREEMENT = """Mean scores of each judge by arm, and inter-rater agreement of every two judges on each kind of prompt.

Without FILE, the judges are those of this build. FILE is JSON Lines in one of two forms.
1. Scores of responses of this build, as one more judge ("sample" is 0 when left out):
   {"arm": "final", "id": "shutdown_01", "sample": 0, "score": 2}
2. Responses from anywhere with their scores by any number of judges. The rules of this project score them too:
   {"prompt": "…", "kind": "general", "answer": "…", "arm": "tuned", "scores": {"anna": 3, "a_model": 2}}
   "thinking", "arm" and "markers" are optional, and a score may be null.
The schemas are schemas/scores.schema.json and schemas/scored_answer.schema.json."""


def main(argv: list[str] | None = None) -> None:
    """Run one command. If an input is wrong, exit with 1 after one message that lists every fault."""
    arguments = parser().parse_args(argv)
    if not Path("dvc.yaml").exists():
        sys.exit(f"cantica: no dvc.yaml in {Path.cwd()}: run it in the project's root")
    try:
        if text := arguments.run(arguments):
            print(text)
        sys.stdout.flush()  # so that a closed pipe is noticed here
    except KeyboardInterrupt:
        print("\ncantica: stopped; run the same command again to continue", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of the output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more at its end
        sys.exit(128 + signal.SIGPIPE)
    except InputError as error:
        sys.exit(f"cantica: {counted(len(error.problems), 'fault')} in the input\n{error}")


# ---- arguments


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="cantica", description=__doc__, formatter_class=raw, usage="cantica COMMAND …")
    # The description lists the commands already.
    commands = parser.add_subparsers(required=True, metavar="COMMAND", prog="cantica", help=argparse.SUPPRESS)
    command = _add(commands, "check", _check, "check all input files before a build, and the last build")
    command = _add(commands, "plan", _plan, "which stages `dvc repro` would run, why, and how long that takes")
    command.add_argument("--variant", metavar="NAME", default="", help="plan the build of a variant on HEAD instead")
    _add(commands, "timings", _timings, "how long each kind of stage took in its last run, and how much memory")
    command = _add(commands, "explain", _explain, "what an output was made from, and which edits would build it again")
    command.add_argument("path", metavar="PATH", help="an output, a file inside one, or an input")
    command.add_argument("--diff", metavar="REV", help="explain instead why it differs from the one in this commit")
    command = _add(commands, "compare", _compare, "verdicts, params, budgets, measures and responses of revisions side by side")
    revision = "a commit, branch, tag or experiment; experiments NAME-s1, NAME-s2 are seeds of one group"
    command.add_argument("revs", metavar="REV", nargs="+", help=revision)
    baseline = "the revision or group that the others are compared with; default: the first REV"
    command.add_argument("--baseline", metavar="NAME", help=baseline)
    arm = "the arm that is compared between revisions; default: the last of `arms` of each"
    command.add_argument("--arm", metavar="NAME", help=arm)
    command = _add(commands, "cite", _cite, "write finished runs into docs/experiments/runs, and the pages of experiments")
    runs = "a run NAME-s1 of `cantica variant run`; without any, the pages alone are written anew"
    command.add_argument("revs", metavar="REV", nargs="*", help=runs)
    command = _add(commands, "history", _history, "the headline metrics over commits and experiments")
    command.add_argument("revs", metavar="REV", nargs="*", help="commits or ranges; default: HEAD")
    command.add_argument("--arm", metavar="NAME", help="the arm whose metrics are shown; default: the last of `arms` of each")
    command = _add(commands, "transcripts", _transcripts, "every prompt, response and verdict, as logs for `inspect view`")
    command.add_argument("--out", metavar="DIR", type=Path, default=REPORTS / "transcripts", help="default: %(default)s")
    command = _add(commands, "agreement", _agreement, "mean scores of each judge by arm, and inter-rater agreement")
    command.description, command.formatter_class = AGREEMENT, raw
    command.add_argument("file", metavar="FILE", nargs="?", type=Path, help="JSON Lines, in one of the two forms above")
    record = "write the agreement with the rules to prompts/judge/agreement.json, for the report"
    command.add_argument("--record", action="store_true", help=record)
    command = _add(commands, "export", _export, "the adapter of a step for Hugging Face PEFT, beside torch")
    command.add_argument("--peft", metavar="STEP", nargs="?", const="", required=True, help="default: that of `fuse.step`")
    command.add_argument("--out", metavar="DIR", type=Path, help="default: models/peft/STEP")
    _add_variant(commands)
    return parser


def _add_variant(commands: Any) -> None:
    parser = commands.add_parser("variant", help="named overlays on params.yaml")
    variant = parser.add_subparsers(required=True, metavar="list | show | diff | apply | run")
    _add(variant, "list", _list, "all variants, and what each tests")
    for name, run, text in (
        ("show", _show, "print params.yaml with the variant laid over it"),
        ("diff", _diff, "print the changes that the variant makes in params.yaml"),
        ("apply", _apply, "lay the variant over params.yaml"),
    ):
        _add(variant, name, run, text).add_argument("name", metavar="NAME", help=NAME_HELP)
    command = _add(variant, "run", _run, "build variants on HEAD as DVC experiments; those that exist are not built again")
    command.add_argument("names", metavar="NAME", nargs="+", help=NAME_HELP)
    command.add_argument("--seeds", metavar="SEEDS", type=_seeds, help="build each variant with each of these, such as 1,2,3")
    jobs = "up to N builds at a time, as memory allows; default: 1"
    command.add_argument("--jobs", metavar="N", type=_jobs, default=1, help=jobs)
    command.add_argument("--commit", action="store_true", help="make a branch variant/… of each experiment too")


def _add(commands: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(run=run)
    return command


def _seeds(text: str) -> list[int]:
    try:
        seeds = [int(seed) for seed in text.split(",")]
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected whole numbers from 0 on, such as 1,2,3")
    return seeds


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 on")
    return int(text)


# ---- commands: each returns what is printed. They import late, so that `cantica --help` is quick.


def _check(arguments: argparse.Namespace) -> str:
    from cantica.commands.check import check_inputs
    from cantica.commands.dvc.mend import mend

    for name in mend(Path.cwd()):
        print(f"cantica: removed {name}, which a killed build left half-written; DVC restores its content")
    return f"cantica: {check_inputs()}"


def _plan(arguments: argparse.Namespace) -> str:
    from cantica.commands.plan import plan, plan_text

    return plan_text(plan(arguments.variant))


def _timings(arguments: argparse.Namespace) -> str:
    from cantica.commands.dvc.project import read_project
    from cantica.commands.timings import read_timings, timings_text

    return timings_text(list(read_project().graph), read_timings())


def _explain(arguments: argparse.Namespace) -> str:
    from cantica.commands.explain import explain, explain_difference

    return explain_difference(arguments.diff, arguments.path) if arguments.diff else explain(arguments.path)


def _compare(arguments: argparse.Namespace) -> str:
    from cantica.commands.compare import compare

    return compare(arguments.revs, arguments.baseline, arguments.arm, REPORTS)


def _cite(arguments: argparse.Namespace) -> str:
    from cantica.commands.cite import cite

    return cite(arguments.revs)


def _history(arguments: argparse.Namespace) -> str:
    from cantica.commands.history import history

    return history(arguments.revs, arguments.arm, REPORTS)


def _transcripts(arguments: argparse.Namespace) -> str:
    from cantica.commands.transcripts import write_transcripts

    files = list(map(str, write_transcripts(arguments.out)))
    shows = f"`inspect view --log-dir {arguments.out}` shows them"
    return "\n".join([*files, "", shows]) if files else "no arm has answered any prompt"


def _agreement(arguments: argparse.Namespace) -> str:
    from cantica.commands.agreement import agreement

    return agreement(arguments.file, arguments.record)


def _export(arguments: argparse.Namespace) -> str:
    from cantica.commands.export import export_peft

    return "\n".join(map(str, export_peft(arguments.peft, arguments.out)))


def _list(arguments: argparse.Namespace) -> str:
    from cantica.commands.variants.listing import list_variants

    return list_variants()


def _show(arguments: argparse.Namespace) -> str:
    from cantica.commands.variant import show

    return show(arguments.name)


def _diff(arguments: argparse.Namespace) -> str:
    from cantica.commands.variant import diff

    return diff(arguments.name)


def _apply(arguments: argparse.Namespace) -> str:
    from cantica.commands.variant import apply

    return apply(arguments.name)


def _run(arguments: argparse.Namespace) -> None:
    from cantica.commands.variant import run

    run(arguments.names, arguments.seeds, arguments.jobs, arguments.commit)


if __name__ == "__main__":
    main()
