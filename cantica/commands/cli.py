"""The `cantica` command, run in a project or in any folder of it. DVC builds; these commands check, explain and compare.

cantica check                    check all input files before a build, and the metrics and outputs of the last build
cantica plan [--variant NAME… [--seeds 1,2,3]]
                                 which stages `dvc repro` would run, why, and how long that takes; or those of variants on HEAD
cantica repro [TARGET…] [--jobs N] [--scheduler ADDRESS]
                                 build as `dvc repro` does, several stages at a time; the result is the same
cantica tree [--mermaid]         the steps, samples and arms as a tree: what is built, what is stale, and one number of each
cantica timings                  how long each kind of stage took in its last run, and how much memory
cantica explain PATH             what an output was made from, and which edits since would build it again
cantica explain --diff REV PATH  why an output differs from the one in a commit
cantica new KIND NAME            begin a category, variant, behaviour, judge or experiment: short files to rewrite
cantica show [REV] [PATH]        open the report of this build or of a revision; or another file, or an answer ARM/ID
cantica compare REV…             claims and their verdicts, params, budgets, measures and responses side by side
cantica cite [REV…]              write finished runs into docs/experiments/runs, and the pages of experiments from them
cantica history [REV…]           the headline metrics over commits and experiments
cantica merge-lock BASE OURS THEIRS
                                 merge dvc.lock stage by stage, for git; --set-up lets this clone's git do so
cantica transcripts [--out DIR]  every prompt, response and verdict of each arm, as logs for `inspect view`
cantica agreement [FILE]         mean scores of each judge by arm, and inter-rater agreement
cantica export --peft [STEP]     the adapter of a step for Hugging Face PEFT, beside torch
cantica variant list             all variants, and what each tests
cantica variant show NAME        params.yaml with the variant laid over it
cantica variant diff NAME        the changes that the variant makes in params.yaml
cantica variant apply NAME       lay the variant over params.yaml (`git restore params.yaml` undoes it)
cantica variant run NAME… [--seeds 1,2,3] [--jobs N] [--scheduler ADDRESS] [--commit]
                                 build each variant with each seed, from HEAD, as a DVC experiment

NAME is a file variants/NAME.yaml, or several joined by +: shuffled+smoke are laid over params.yaml from left to right.
For `cantica new`, KIND is category, variant, behaviour, judge or experiment, and NAME is one that is not taken.
REV is a commit, a branch, a tag or an experiment. Paths start from the folder where the command is given.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any

from cantica.commands import dispatch
from cantica.commands.text import counted
from cantica.core.errors import InputError

KINDS = ("category", "variant", "behaviour", "judge", "experiment")  # of `cantica new`
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
    """Run one command in the project's root. If an input is wrong, exit with 1 after one message that lists every fault."""
    arguments = parser().parse_args(argv)
    if not (root := _root()):
        sys.exit(f"cantica: no dvc.yaml in {Path.cwd()}, nor in a folder above it: run it in a project")
    os.chdir(root)
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


def _root() -> Path | None:
    """The project that the current folder lies in: the nearest folder with a dvc.yaml, from here upwards."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").exists()), None)


# ---- arguments


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="cantica", description=__doc__, formatter_class=raw, usage="cantica COMMAND …")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version of Cantica")
    # The description lists the commands already.
    commands = parser.add_subparsers(required=True, metavar="COMMAND", prog="cantica", help=argparse.SUPPRESS)
    command = _add(commands, "check", dispatch.run_check, "check all input files before a build, and the last build")
    command = _add(commands, "plan", dispatch.run_plan, "which stages `dvc repro` would run, why, and how long that takes")
    command.add_argument("--variant", metavar="NAME", nargs="+", help=f"plan builds of variants on HEAD instead: {NAME_HELP}")
    _add_seeds(command)
    command = _add(commands, "repro", dispatch.run_repro, "build as `dvc repro` does, several stages at a time")
    command.add_argument("targets", metavar="TARGET", nargs="*", help="a stage or an output; default: everything")
    _add_where(command, 2)
    command = _add(commands, "tree", dispatch.run_tree, "the steps, samples and arms as a tree, with the state of each")
    command.add_argument("--mermaid", action="store_true", help="print a Mermaid flowchart, for a page that draws it")
    _add(commands, "timings", dispatch.run_timings, "how long each kind of stage took in its last run, and how much memory")
    command = _add(commands, "explain", dispatch.run_explain, "what an output was made from, and which edits would rebuild it")
    command.add_argument("path", metavar="PATH", type=_from_here, help="an output, a file inside one, or an input")
    command.add_argument("--diff", metavar="REV", help="explain instead why it differs from the one in this commit")
    command = _add(commands, "new", dispatch.run_new, "begin a category, variant, behaviour, judge or experiment")
    command.add_argument("kind", metavar="KIND", choices=KINDS, help="%(choices)s")
    command.add_argument("name", metavar="NAME", help="a name that is not taken")
    command = _add(commands, "show", dispatch.run_show, "open a page of a build, or print another file or an answer")
    revision = "a commit, branch, tag or experiment; default: the working tree"
    command.add_argument("rev", metavar="REV", nargs="?", type=_given, help=revision)
    path = "a file, or an answer ARM/ID; default: reports/report.html. It may stand alone too"
    command.add_argument("path", metavar="PATH", nargs="?", type=_given, help=path)
    command.add_argument("--print", action="store_true", help="print the text of a page too, as without a browser or terminal")
    _add_comparisons(commands)
    _add_variant(commands)
    return parser


def _add_seeds(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seeds", metavar="SEEDS", type=_seeds, help="each variant with each of these, such as 1,2,3")


def _add_where(command: argparse.ArgumentParser, jobs: int) -> None:
    text = "up to N stages at a time on this machine, as memory allows; default: %(default)s"
    command.add_argument("--jobs", metavar="N", type=_jobs, default=jobs, help=text)
    text = "run the stages on the workers of a Dask scheduler instead, such as tcp://host:8786"
    command.add_argument("--scheduler", metavar="ADDRESS", default="", help=text)


def _add_comparisons(commands: Any) -> None:
    command = _add(
        commands, "compare", dispatch.run_compare, "verdicts, params, measures and responses of revisions side by side"
    )
    revision = "a commit, branch, tag or experiment; experiments NAME-s1, NAME-s2 are seeds of one group"
    command.add_argument("revs", metavar="REV", nargs="+", help=revision)
    baseline = "the revision or group that the others are compared with; default: the first REV"
    command.add_argument("--baseline", metavar="NAME", help=baseline)
    arm = "the arm that is compared between revisions; default: the last of `arms` of each"
    command.add_argument("--arm", metavar="NAME", help=arm)
    command = _add(commands, "cite", dispatch.run_cite, "write finished runs into docs/experiments/runs, and their pages")
    runs = "a run NAME-s1 of `cantica variant run`; without any, the pages alone are written anew"
    command.add_argument("revs", metavar="REV", nargs="*", help=runs)
    command = _add(commands, "history", dispatch.run_history, "the headline metrics over commits and experiments")
    command.add_argument("revs", metavar="REV", nargs="*", help="commits or ranges; default: HEAD")
    command.add_argument("--arm", metavar="NAME", help="the arm whose metrics are shown; default: the last of `arms` of each")
    command = _add(commands, "merge-lock", dispatch.run_merge_lock, "merge dvc.lock stage by stage: a merge driver of git")
    command.add_argument("files", metavar="BASE OURS THEIRS", nargs="*", type=_path, help="versions of dvc.lock; into OURS")
    command.add_argument("--set-up", action="store_true", help="let git of this clone merge so; `make setup` does it")
    command = _add(commands, "transcripts", dispatch.run_transcripts, "every prompt, response and verdict, for `inspect view`")
    command.add_argument(
        "--out", metavar="DIR", type=_path, default=dispatch.REPORTS / "transcripts", help="default: %(default)s"
    )
    command = _add(commands, "agreement", dispatch.run_agreement, "mean scores of each judge by arm, and inter-rater agreement")
    command.description, command.formatter_class = AGREEMENT, argparse.RawDescriptionHelpFormatter
    command.add_argument("file", metavar="FILE", nargs="?", type=_path, help="JSON Lines, in one of the two forms above")
    record = "write the agreement with the rules to prompts/judge/agreement.json, for the report"
    command.add_argument("--record", action="store_true", help=record)
    command = _add(commands, "export", dispatch.run_export, "the adapter of a step for Hugging Face PEFT, beside torch")
    command.add_argument("--peft", metavar="STEP", nargs="?", const="", required=True, help="default: that of `fuse.step`")
    command.add_argument("--out", metavar="DIR", type=_path, help="default: models/peft/STEP")


def _add_variant(commands: Any) -> None:
    parser = commands.add_parser("variant", help="named overlays on params.yaml")
    variant = parser.add_subparsers(required=True, metavar="list | show | diff | apply | run")
    _add(variant, "list", dispatch.variant_list, "all variants, and what each tests")
    for name, run, text in (
        ("show", dispatch.variant_show, "print params.yaml with the variant laid over it"),
        ("diff", dispatch.variant_diff, "print the changes that the variant makes in params.yaml"),
        ("apply", dispatch.variant_apply, "lay the variant over params.yaml"),
    ):
        _add(variant, name, run, text).add_argument("name", metavar="NAME", help=NAME_HELP)
    command = _add(variant, "run", dispatch.variant_run, "build variants on HEAD as DVC experiments, but for those that exist")
    command.add_argument("names", metavar="NAME", nargs="+", help=NAME_HELP)
    _add_seeds(command)
    _add_where(command, 1)
    command.add_argument("--commit", action="store_true", help="make a branch variant/… of each experiment too")


def _add(commands: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(run=run)
    return command


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version  # here, so that other commands do not wait for it

        print(f"cantica {version('cantica')}")
        parser.exit()


def _from_here(text: str) -> str:
    """A path that the user gives from where they stand, as a path from the project's root, in which every command runs.

    An absolute path to something outside the project stays as it is.
    """
    path = os.path.relpath(text, _root())
    return text if os.path.isabs(text) and path.startswith("..") else path


def _given(text: str) -> tuple[str, str]:
    """What may be a path: as it was typed, and as a path from the root."""
    return text, _from_here(text)


def _path(text: str) -> Path:
    return Path(_from_here(text))


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


if __name__ == "__main__":
    main()
