"""What each command of `cantica` runs. Each function takes the command line, and returns what is printed.

They import late, so that `cantica --help` is quick.
"""

import argparse
import sys
from pathlib import Path

REPORTS = Path("reports")


def run_check(arguments: argparse.Namespace) -> str:
    from cantica.commands.check import check_inputs
    from cantica.commands.dvc.mend import mend

    for name in mend(Path.cwd()):
        print(f"cantica: removed {name}, which a killed build left half-written; DVC restores its content")
    return f"cantica: {check_inputs()}"


def run_plan(arguments: argparse.Namespace) -> str:
    from cantica.commands.family_plan import family_plan
    from cantica.commands.plan import plan, plan_text
    from cantica.commands.variants.family import family

    if arguments.seeds and not arguments.variant:
        sys.exit("cantica plan: --seeds needs --variant")
    runs = {run.name: run.params for run in family(arguments.variant, arguments.seeds)} if arguments.variant else {"": ""}
    return family_plan(runs) if len(runs) > 1 else plan_text(plan(*runs.values()))


def run_repro(arguments: argparse.Namespace) -> str:
    from cantica.commands.repro import repro

    return repro(arguments.targets, arguments.jobs, arguments.scheduler)


def run_tree(arguments: argparse.Namespace) -> str:
    from cantica.commands.tree import tree

    return tree(arguments.mermaid)


def run_new(arguments: argparse.Namespace) -> str:
    from cantica.commands.new import new

    return new(arguments.kind, arguments.name)


def run_show(arguments: argparse.Namespace) -> str:
    from cantica.commands.show import show

    return show([given for given in (arguments.rev, arguments.path) if given], arguments.print)


def run_timings(arguments: argparse.Namespace) -> str:
    from cantica.commands.dvc.project import read_project
    from cantica.commands.timings import read_timings, timings_text

    return timings_text(list(read_project().graph), read_timings())


def run_explain(arguments: argparse.Namespace) -> str:
    from cantica.commands.explain import explain, explain_difference

    return explain_difference(arguments.diff, arguments.path) if arguments.diff else explain(arguments.path)


def run_compare(arguments: argparse.Namespace) -> str:
    from cantica.commands.compare import compare

    return compare(arguments.revs, arguments.baseline, arguments.arm, REPORTS)


def run_cite(arguments: argparse.Namespace) -> str:
    from cantica.commands.cite import cite

    return cite(arguments.revs)


def run_history(arguments: argparse.Namespace) -> str:
    from cantica.commands.history import history

    return history(arguments.revs, arguments.arm, REPORTS)


def run_merge_lock(arguments: argparse.Namespace) -> str:
    from cantica.commands.merge_lock import merge_lock, set_up

    if not arguments.set_up and len(arguments.files) != 3:
        sys.exit("cantica merge-lock: expected BASE OURS THEIRS, three versions of dvc.lock, or --set-up")
    return set_up() if arguments.set_up else merge_lock(*arguments.files)


def run_transcripts(arguments: argparse.Namespace) -> str:
    from cantica.commands.transcripts import write_transcripts

    files = list(map(str, write_transcripts(arguments.out)))
    shows = f"`inspect view --log-dir {arguments.out}` shows them"
    return "\n".join([*files, "", shows]) if files else "no arm has answered any prompt"


def run_agreement(arguments: argparse.Namespace) -> str:
    from cantica.commands.agreement import agreement

    return agreement(arguments.file, arguments.record)


def run_export(arguments: argparse.Namespace) -> str:
    from cantica.commands.export import export_peft

    return "\n".join(map(str, export_peft(arguments.peft, arguments.out)))


def variant_list(arguments: argparse.Namespace) -> str:
    from cantica.commands.variants.listing import list_variants

    return list_variants()


def variant_show(arguments: argparse.Namespace) -> str:
    from cantica.commands.variant import show

    return show(arguments.name)


def variant_diff(arguments: argparse.Namespace) -> str:
    from cantica.commands.variant import diff

    return diff(arguments.name)


def variant_apply(arguments: argparse.Namespace) -> str:
    from cantica.commands.variant import apply

    return apply(arguments.name)


def variant_run(arguments: argparse.Namespace) -> None:
    from cantica.commands.variant import run

    run(arguments.names, arguments.seeds, arguments.jobs, arguments.scheduler, arguments.commit)
