"""Runs of stages and what they made: in DVC's cache here, and in a remote if workers share one."""

from collections.abc import Iterable
from pathlib import Path

from cantica.commands.dvc.cache import earlier_run, in_cache, part_of, run_key
from cantica.commands.dvc.records import MISSING, Entry, Lock, outputs
from cantica.commands.dvc.remote import Remote


class Store:
    """What builds that run together know of earlier runs. Its methods raise RemoteFault where a remote fails.

    cache: the folder of DVC's cache.
    """

    def __init__(self, cache: Path, remote: Remote | None = None):
        self._cache, self._remote = cache, remote
        self._known: dict[str, Entry] = {}  # by run key
        self._elsewhere: set[str] = set()  # hashes that the remote has
        self._runs = remote.runs() if remote else set()
        self._has = in_cache(cache)
        self.part = part_of(cache)

    def keep(self, key: str, entry: Entry) -> None:
        """Take in that a stage ran."""
        self._known[key] = entry
        if self._remote:
            self._elsewhere |= set(outputs(entry).values())
            self._remote.pull_lists(outputs(entry).values())

    def recall(self, entry: Entry) -> Entry | None:
        """The last run of a stage with exactly these inputs, or None."""
        key = run_key(entry)
        if key not in self._known:
            found = earlier_run(self._cache, entry)
            if self._remote and key in self._runs:
                if not found and self._remote.pull_run(key):
                    found = earlier_run(self._cache, entry)
                missing = {md5 for md5 in outputs(found or {}).values() if not self._has(md5)}
                self._elsewhere |= missing if self._remote.has(missing) else set()
            if found:
                self._known[key] = found
        return self._known.get(key)

    def has(self, md5: str) -> bool:
        """Whether a file or folder is here, or can be fetched."""
        return md5 in self._elsewhere or self._has(md5)

    def push(self, entries: Lock) -> None:
        """Let workers elsewhere have what stages made here."""
        if self._remote:
            self._remote.push(self._hashes(entries.values()) - self._elsewhere)

    def fetch(self, entries: Lock) -> None:
        """Have here what stages made, wherever that was, and their runs, so that DVC can restore them."""
        if self._remote:
            self._remote.pull(self._hashes(entries.values()) & self._elsewhere)
            for entry in entries.values():
                if not earlier_run(self._cache, entry):
                    self._remote.pull_run(run_key(entry))

    def _hashes(self, entries: Iterable[Entry]) -> set[str]:
        return {md5 for entry in entries for md5 in outputs(entry).values()} - {MISSING}
