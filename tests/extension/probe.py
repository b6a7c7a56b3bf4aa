"""What each process of a distributed run saw, written to files that the test compares."""

import json
from pathlib import Path

from lightning import Callback


class Probe(Callback):
    """Records, by rank: the labels and sums of its images, the noise it drew, and the weights after each step."""

    def __init__(self, folder: str) -> None:
        self.folder, self.rows, self.noise = Path(folder), [], []

    def on_fit_start(self, trainer, pl_module):
        pl_module.generator.register_forward_pre_hook(self.note)

    def note(self, generator, inputs):
        self.noise.append(float(inputs[0].detach().double().sum()))

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        weights = [float(p.detach().double().sum()) for p in pl_module.parameters()]
        images = batch[0].flatten(1).long()
        sums = (images * (images.new_tensor(range(1, 785)) ** 2)).sum(1).tolist()
        self.rows.append({"images": sums, "noise": self.noise, "weights": weights})
        self.noise = []

    def on_fit_end(self, trainer, pl_module):
        path = self.folder / f"rank_{trainer.global_rank}.json"
        path.write_text(json.dumps({"rows": self.rows, "images_seen": pl_module.images_seen}))
