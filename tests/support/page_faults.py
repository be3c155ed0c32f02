"""The numbers on the pages of experiments that do not follow from the files of the runs."""

from pathlib import Path

from tests.support.page_claims import claim_faults
from tests.support.page_matrix import matrix_faults
from tests.support.page_setting import setting_faults
from tests.support.pages import read


def page_faults(folder: Path) -> list[str]:
    """A line for each number of index.md and of the experiments' pages that does not follow from the runs."""
    start, experiments = read(folder)
    own = {variant: [*claim_faults(one), *matrix_faults(one)] for variant, one in experiments.items()}
    return [f"{variant}: {line}" for variant, lines in own.items() for line in lines] + setting_faults(start, experiments)
