"""Which GPUs this machine has for MLX."""

import sys

import pytest

from cantica.engine.backend.gpus import gpus, kind


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has Metal")
def test_gpus_are_those_that_are_visible_where_mlx_is_for_cuda(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "none"), str(tmp_path)])
    assert (gpus(), kind()) == ([], "a CPU")
    (tmp_path / "mlx_cuda_12-0.32.4.dist-info").mkdir()
    assert (gpus(), kind()) == (["1", "3"], "CUDA")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus() == []
