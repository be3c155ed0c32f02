"""The `cantica` command: what people run beside DVC, in the project's root.

cantica check                    refuse bad input before anything is built, and metrics that are not those of their records
cantica plan [--variant NAME]    what `dvc repro` would run, why, and how long that takes; or building a variant
cantica timings                  how long each kind of stage took when it last ran, and the memory it took
cantica explain PATH             what an output was made from, and which edits since would build it again
cantica explain --diff REV PATH  why it differs from the one in a commit
cantica compare REV…             params, budgets, measures and answers of revisions side by side, seeds of a variant grouped
cantica history [REV…]           the headline metrics over commits and experiments
cantica transcripts [--out DIR]  every prompt, answer, verdict and reason of each arm, as logs for `inspect view`
cantica agreement [FILE]         the judges' means by arm, and how far they agree with each other and with the scores in a file
cantica variant list             the variants, and what each tests
cantica variant show NAME        params.yaml with the variant laid over it
cantica variant diff NAME        what that changes
cantica variant apply NAME       lay it over params.yaml (`git restore params.yaml` takes it off)
cantica variant run NAME… [--seeds 1,2,3] [--jobs N] [--commit]
                                 build each variant on HEAD, with each seed, as a DVC experiment

NAME is a file variants/NAME.yaml, or several: shuffled+smoke lies over params.yaml from left to right.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

from cantica.core.errors import InputError

REPORTS = Path("reports")
AGREEMENT = """The means of every judge by arm, and how far every two of them agree on each kind of prompt.

FILE has a line for each score of an answer of this build (sample is 0 when left out):
  {"arm": "final", "id": "shutdown_01", "sample": 0, "score": 2}
or a line for each answer from anywhere, which the rules here then judge, beside its scores by whoever gave them:
  {"prompt": "…", "kind": "general", "answer": "…", "arm": "tuned", "scores": {"anna": 3, "a_model": 2}}
thinking, arm and markers may be left out there; a score may be null. schemas/scores.schema.json and
schemas/scored_answer.schema.json say what each key may hold."""


def main(argv: list[str] | None = None) -> None:
    """Run one command. Exits with 1, after one message that lists every fault, when an input is wrong."""
    arguments = parser().parse_args(argv)
    if not Path("dvc.yaml").exists():
        sys.exit(f"cantica: no dvc.yaml in {Path.cwd()}: run it in the project's root")
    try:
        arguments.run(arguments)
        sys.stdout.flush()  # so that a reader who has left is noticed here
    except KeyboardInterrupt:
        print("\ncantica: stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of the output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more at its end
        sys.exit(128 + signal.SIGPIPE)
    except InputError as error:
        sys.exit(f"cantica: {len(error.problems)} {'fault' if len(error.problems) == 1 else 'faults'} in the input\n{error}")


def parser() -> argparse.ArgumentParser:
    """What the command line may say."""
    parser = argparse.ArgumentParser(
        prog="cantica",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="cantica COMMAND …",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands", prog="cantica")
    command = commands.add_parser("check", help="refuse bad input before anything is built")
    command.set_defaults(run=_check)
    command = commands.add_parser("plan", help="what `dvc repro` would run, why, and how long that takes")
    command.add_argument("--variant", metavar="NAME", default="", help="tell it of a variant, on HEAD")
    command.set_defaults(run=_plan)
    command = commands.add_parser("timings", help="how long each kind of stage took when it last ran")
    command.set_defaults(run=_timings)
    command = commands.add_parser("explain", help="what an output was made from, and which edits since would build it again")
    command.add_argument("path", metavar="PATH", help="an output, a file inside one, or an input")
    command.add_argument("--diff", metavar="REV", help="tell instead why it differs from the one in this commit")
    command.set_defaults(run=_explain)
    command = commands.add_parser("compare", help="params, budgets, measures and answers of revisions side by side")
    command.add_argument(
        "revs", metavar="REV", nargs="+", help="a commit, branch, tag or experiment; NAME-s1, NAME-s2 are one group"
    )
    command.add_argument("--baseline", metavar="NAME", help="what the others are compared with; default: the first REV")
    command.set_defaults(run=_compare)
    command = commands.add_parser("history", help="the headline metrics over commits and experiments")
    command.add_argument("revs", metavar="REV", nargs="*", help="commits or ranges; default: HEAD")
    command.set_defaults(run=_history)
    command = commands.add_parser("transcripts", help="every prompt, answer, verdict and reason, as logs for `inspect view`")
    command.add_argument("--out", metavar="DIR", type=Path, default=Path("reports/transcripts"), help="default: %(default)s")
    command.set_defaults(run=_transcripts)
    command = commands.add_parser(
        "agreement",
        help="the judges' means by arm, and how far they agree with each other and with the scores in a file",
        description=AGREEMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", metavar="FILE", nargs="?", type=Path, help="JSON Lines, in one of the two forms above")
    command.add_argument(
        "--record", action="store_true", help="write the rules' agreement to prompts/judge/agreement.json, for the report"
    )
    command.set_defaults(run=_agreement)
    variant = commands.add_parser("variant", help="named overlays on params.yaml").add_subparsers(
        required=True, metavar="list | show | diff | apply | run"
    )
    variant.add_parser("list", help="the variants, and what each tests").set_defaults(run=_list)
    for name, run, text in (
        ("show", _show, "print params.yaml with the variant laid over it"),
        ("diff", _diff, "print what it changes in params.yaml"),
        ("apply", _apply, "lay the variant over params.yaml"),
    ):
        command = variant.add_parser(name, help=text)
        command.add_argument("name", metavar="NAME", help="a file variants/NAME.yaml, or several: shuffled+smoke")
        command.set_defaults(run=run)
    command = variant.add_parser("run", help="build variants on HEAD as DVC experiments; what is built already is not again")
    command.add_argument("names", metavar="NAME", nargs="+", help="a file variants/NAME.yaml, or several: shuffled+smoke")
    command.add_argument("--seeds", metavar="SEEDS", type=_seeds, help="such as 1,2,3: build each variant with each of them")
    command.add_argument("--jobs", metavar="N", type=_jobs, default=1, help="up to N at a time, as memory allows; default: 1")
    command.add_argument("--commit", action="store_true", help="make a branch variant/… of each experiment too")
    command.set_defaults(run=_run)
    return parser


def _check(arguments) -> None:
    from cantica.commands.check import check_inputs
    from cantica.commands.dvc.mend import mend

    for name in mend(Path.cwd()):
        print(f"cantica: removed {name}, which a killed build left cut; DVC restores what it held")
    print(f"cantica: {check_inputs()}")


def _plan(arguments) -> None:
    from cantica.commands.plan import plan, plan_text

    print(plan_text(plan(arguments.variant)))


def _timings(arguments) -> None:
    from cantica.commands.dvc.records import read_records
    from cantica.commands.timings import read_timings, timings_text

    print(timings_text(list(read_records().graph), read_timings()))


def _explain(arguments) -> None:
    from cantica.commands.explain import explain, explain_difference

    print(explain_difference(arguments.diff, arguments.path) if arguments.diff else explain(arguments.path))


def _compare(arguments) -> None:
    from cantica.commands.compare import compare

    print(compare(arguments.revs, arguments.baseline, REPORTS))


def _history(arguments) -> None:
    from cantica.commands.history import history

    print(history(arguments.revs, REPORTS))


def _transcripts(arguments) -> None:
    from cantica.commands.transcripts import write_transcripts

    print("\n".join(map(str, write_transcripts(arguments.out))))
    print(f"\n`inspect view --log-dir {arguments.out}` shows them")


def _agreement(arguments) -> None:
    from cantica.commands.agreement import agreement

    print(agreement(arguments.file, arguments.record))


def _list(arguments) -> None:
    from cantica.commands.variants.files import file_faults, in_a_line, load_variant, names

    for name in names():
        problems = file_faults(name)
        print(f"{name:16} {f'broken: {in_a_line(problems)}' if problems else load_variant(name)['tests']}")


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


def _show(arguments) -> None:
    from cantica.commands.variants.files import overlaid, to_text

    print(to_text(overlaid(arguments.name)), end="")


def _diff(arguments) -> None:
    from cantica.commands.variants.files import overlaid
    from cantica.commands.variants.overlays import differences
    from cantica.core.documents import read_yaml
    from cantica.core.params import FILE

    changes = differences(read_yaml(FILE), overlaid(arguments.name))
    print("\n".join(changes) or f"params.yaml is {arguments.name} already")


def _apply(arguments) -> None:
    from cantica.commands.variants.files import apply_variant

    changes = apply_variant(arguments.name)
    print("\n".join(changes) if changes else f"params.yaml is {arguments.name} already")
    if changes:
        print(f"\n{arguments.name} lies over params.yaml: `dvc repro` builds it, `git restore params.yaml` takes it off")


def _run(arguments) -> None:
    from cantica.commands.variants.family import at_once, family, run_family, uncommitted
    from cantica.commands.variants.progress import Progress

    runs = family(arguments.names, arguments.seeds)
    if files := uncommitted():
        print(f"HEAD is built, without what is not committed: {', '.join(files)}")
    jobs = at_once(arguments.jobs)
    if jobs < arguments.jobs:
        print(f"{jobs} at a time and not {arguments.jobs}: memory has no room for more of the largest stage that ran here")
    failed = run_family(runs, Progress([run.name for run in runs]), arguments.commit, jobs)
    if failed:
        sys.exit(f"cantica: {len(failed)} of {len(runs)} failed: {', '.join(run.name for run in failed)}")


if __name__ == "__main__":
    main()
