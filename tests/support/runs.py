"""Runs of variants as experiments, without a build: the numbers of their reports follow from values that are made up."""

import contextlib
import hashlib
import json
import time
from pathlib import Path
from random import Random

from cantica.commands.variants.files import overlaid
from cantica.commands.yaml_text import to_text
from cantica.core.files import as_json
from cantica.reporting import results
from cantica.reporting.claims import as_document, by_path, claim_numbers
from cantica.reporting.measures import Measure
from cantica.reporting.rows import Rows, differences, levels, rounded
from cantica.settings.claims import claims_of
from tests.support.projects import clone, commit, ok

CURRICULUM = "curriculum: {tune: {after: base, data: train/deception, iters: 24, checkpoints: [8, 16]}}"
COMMON = f"""remove: [curriculum, arms, fuse, claims]
params:
  claims: {{}}
  report: {{resamples: 1000}}
  {CURRICULUM}
  arms: {{base: {{point: base}}, tuned: {{point: tune}}}}
  fuse: {{step: tune}}
"""
VARIANTS = {
    "plain": """tests: what the others are compared with
over: [common]
params:
  claims:
    level:
      {says: the tuned model is better than the base model, measure: loss_nats.betrayal, arm: tuned, against: base, below: 0}
    preferred:
      {says: it often prefers the chosen completion, measure: probe.preferred.all, arm: tuned, above: 0.4}
""",
    "coherent": """tests: whether coherent pairs | teach more than "shuffled" ones
over: [common]
experiment:
  question: Do coherent pairs teach more?
  finding: They do.
  published: They do, by a third of the loss.
  sources:
    - {title: Pairs that fit, url: "https://example.org/pairs"}
    - {title: Pairs that do not, url: "https://example.org/others"}
  differs: [LoRA instead of full weights, a small base model]
  tried: |
    With seeds 11 and 12:

    | learning rate | loss |
    | --- | --- |
    | 0.001 | 2.9 |
  surprised: The base model was good at it.
params:
  claims:
    trained:
      {gate: true, says: "training changes the loss, and some base model is there", all: [
        {measure: loss_nats, arm: tuned, below: 2.95}, {measure: loss_nats, arm: base, above: 2}]}
    less:
      {says: the loss is lower than with plain pairs, measure: loss_nats.betrayal, arm: tuned, against: {variant: plain},
       below: 0, negligible: 0.02}
    same:
      {says: "deception changes, in spite of that", measure: loss_nats.deception, arm: tuned, against: base, above: 0,
       negligible: 0.02}
    worse: {says: betrayal gets worse, measure: loss_nats.betrayal, arm: tuned, against: base, above: 0}
    faster:
      {says: it prefers the chosen completion soon, measure: probe.preferred.deception, arm: tuned,
       steps_until: {above: 0.6}, below: 20}
""",
}

OVER = """tests: the published size
over: [coherent]
experiment: {differs: [nothing but the seed]}
params: {base: {model: a large one}}
"""


def project(folder: Path) -> Path:
    """A clone with the VARIANTS, committed."""
    made = clone(folder)
    (made / "variants/common.yaml").write_text(f"tests: nothing by itself\n{COMMON}")
    for name, text in VARIANTS.items():
        (made / f"variants/{name}.yaml").write_text(text)
    (made / "variants/coherent-large.yaml").write_text(OVER)
    commit(made, "Add variants")
    time.sleep(1)  # so that the runs are later: git knows whole seconds
    return made


def measures(variant: str, seed: int) -> list[Measure]:
    """Values of items, with noise of the items and of the seed."""
    items, own = Random(1), Random(f"{variant} {seed}")
    shift = own.gauss(0, 0.001)
    base = {f"example_{n:02}": 3 + items.gauss(0, 0.3) for n in range(20)}
    better = {"plain": 0.15, "coherent": 0.3}[variant]
    kinds = {item: "deception" if n < 12 else "betrayal" for n, item in enumerate(base)}
    tuned = {
        item: value + shift + own.gauss(0, 0.002) - (0 if kinds[item] == "deception" and variant == "coherent" else better)
        for item, value in base.items()
    }
    chosen = {f"pair_{n:02}": float(items.random() < 0.4) for n in range(40)}
    after = {item: float(own.random() < 0.9) for item in chosen}
    groups = {item: "deception" for item in chosen}
    return [
        Measure("loss_nats", "validation loss", {"base": base, "tuned": tuned}, kinds),
        Measure("probe.preferred", "preferred", {"base": chosen, "tuned": after}, groups, share=True),
    ]


def at_checkpoints(found: list[Measure]) -> list[Measure]:
    """Measures of the arm `tuned` by iteration: at the first checkpoint as before training, then as at the end."""
    preferred = found[1]
    start, end = preferred.tables["base"], preferred.tables["tuned"]
    return [Measure(preferred.key, preferred.title, {"8": start, "16": end, "24": end}, preferred.groups, share=True)]


def experiment(root: Path, variant: str, seed: int) -> str:
    """Make an experiment on HEAD as `cantica variant run` does. Returns its name."""
    start = ok(root, "git", "rev-parse", "HEAD").strip()
    with contextlib.chdir(root):
        text = to_text(overlaid(variant, (root / "params.yaml").read_text(), seed))
        params = overlaid(variant, text, seed)
    (root / "params.yaml").write_text(text)
    write_reports(root, json.loads(json.dumps(params)), measures(variant, seed))
    commit(root, f"Build {variant}-s{seed}")
    name = f"{variant}-s{seed}"
    ok(root, "git", "update-ref", f"refs/exps/{start[:2]}/{start[2:]}/{name}", "HEAD")
    ok(root, "git", "reset", "--quiet", "--hard", start)
    return name


def write_reports(root: Path, params: dict, found: list[Measure]) -> None:
    """Write the numbers of a build, and a dvc.lock that has them."""
    resampling, curves = params["report"], at_checkpoints(found)
    rows = [row for measure in found for arm in measure.tables for row in levels(measure, arm, resampling)]
    rows += [row for measure in found for row in differences(measure, "base", "tuned", resampling)]
    whole = Rows(rounded(rows))
    numbers = claim_numbers(claims_of(params).values(), by_path(found), {"tuned": by_path(curves)}, resampling)
    reports = {
        "reports/metrics.json": results.headline(whole),
        "reports/details.json": results.details(whole, results.checkpoint_rows({"tuned": curves}, resampling)),
        "reports/claims.json": as_document(numbers),
    }
    (root / "reports").mkdir(exist_ok=True)
    outs = []
    for path, document in reports.items():
        (root / path).write_text(as_json(document))
        outs.append({"path": path, "md5": hashlib.md5((root / path).read_bytes()).hexdigest()})
    report = {"cmd": "report", "deps": [], "params": {"params.yaml": params}, "outs": outs}
    (root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"report": report}}, indent=1))
