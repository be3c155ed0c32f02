"""Scenarios against their schema, on their way into a file."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from cantica.core.documents import faults, raise_any, validator

SHOWN = 20  # faults told at once


def checked(records: Iterable[dict]) -> Iterator[dict]:
    """The records; after the last, an InputError for what their schema finds, once for each template and block."""
    check, found = validator("scenario"), {}
    for record in records:
        if len(found) < SHOWN:
            file = record["origin"].partition(": ")[0]  # of a template, without the case
            for fault in faults(record, check, file):
                found.setdefault((fault.file, fault.place), replace(fault, place=f"block {fault.place}, as {record['id']}"))
        yield record
    raise_any(list(found.values()))
