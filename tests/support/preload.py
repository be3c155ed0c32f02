"""Import what DVC and Cantica's commands import, most of it when they run. See `run` in projects.py."""

import pkgutil
from importlib import import_module

import cantica.commands

OF_DVC = """
    _debug cachemgr cli.parser commands.checkout commands.repro data_cloud dirs lock repo.artifacts repo.datasets repo.graph
    repo.index repo.metrics repo.open_repo repo.params repo.plots repo.reproduce repo.stage repo.trie rwlock scm stage.cache
    stage.run utils.strictyaml
"""
OTHERS = """
    configobj distributed dulwich.repo dulwich.worktree dvc_data.hashfile.db.local dvc_data.index.checkout dvc_render
    flatten_dict flufl.lock fsspec.implementations.memory jsonschema networkx psutil pyparsing ruamel.yaml zc.lockfile
"""

for name in (*(f"dvc.{name}" for name in OF_DVC.split()), *OTHERS.split()):
    import_module(name)
for module in pkgutil.walk_packages(cantica.commands.__path__, "cantica.commands."):
    import_module(module.name)
