"""What each of two processes measures, in a module that they can import."""

import torch
import torch.distributed as dist

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
