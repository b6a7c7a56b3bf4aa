"""Two processes measure what one does."""

import os

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from gan.metrics import ImageMeasures, build_extractor, build_measures

SETTINGS = {"kid": {"subsets": 5, "subset_size": 200}}


def measured(sets, of_real, of_generated):
    extractor = build_extractor()
    measures = ImageMeasures(extractor, build_measures(None, extractor, SETTINGS))
    measures.real.add(sets["held_out"][of_real])
    measures.training.add(sets["training"][of_real])
    for chosen in of_generated.split(100):
        measures.generated.add(sets["generated"][chosen], sets["generated_labels"][chosen])
    return {**measures.compute(), "seen": len(measures.sets().generated)}, measures.skipped


def work(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    sets = torch.load(folder / "sets.pt")
    every = torch.arange(len(sets["held_out"]))
    # An odd number of images, so that one rank has one more; then all the generated ones on one rank.
    results = [
        measured(sets, every[rank::2], every[rank::2]),
        measured(sets, every[rank::2], every if rank == 1 else every[:0]),
    ]
    empty = ImageMeasures(build_extractor(), ["fid"])
    results.append((empty.compute(), empty.skipped))
    torch.save(results, folder / f"{rank}.pt")
    dist.barrier()  # one that leaves while the other still talks to it may abort it
    dist.destroy_process_group()


@pytest.mark.skipif(os.name == "nt", reason="gloo meets in a file here")
def test_two_processes_measure_what_one_does(sets, tmp_path):
    plain = sets._asdict()
    every = torch.arange(len(sets.held_out))
    torch.save(plain, tmp_path / "sets.pt")
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
