"""Two processes measure what one does."""

import os
from multiprocessing import spawn

import pytest
import torch
import torch.multiprocessing as mp
from ranks import measured, work


@pytest.mark.process
@pytest.mark.skipif(os.name == "nt", reason="gloo meets in a file here")
def test_two_processes_measure_what_one_does(sets, tmp_path, monkeypatch, python):
    plain = sets._asdict()
    every = torch.arange(len(sets.held_out))
    torch.save(plain, tmp_path / "sets.pt")
    monkeypatch.setattr(spawn, "_python_exe", os.fsencode(python))
    mp.spawn(work, (tmp_path,), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert first == second
    alone, skipped = measured(plain, every, every)
    assert skipped == {}
    for values, left_out in first[:2]:
        assert left_out == {}
        assert values["fid"] == pytest.approx(alone["fid"], abs=1e-4)
        assert abs(values["kid"] - alone["kid"]) <= alone["kid_std"]
        assert abs(values["is"] - alone["is"]) <= alone["is_std"]
        assert values == pytest.approx(alone, rel=0.01, abs=1e-3)
    assert first[2][0] == {}
    assert set(first[2][1]) == {"fid"}
