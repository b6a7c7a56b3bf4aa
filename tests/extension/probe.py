"""What each process of a distributed run saw, written to files that the test compares."""

import json
from pathlib import Path

from lightning import Callback


class Probe(Callback):
    """Records, by rank: the labels and sums of its images, the noise it drew, and the weights after each step."""

    def __init__(self, folder: str) -> None:
        self.folder, self.rows = Path(folder), []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        draw = pl_module._draw

        def recorded(labels, count):
            images, drawn_labels = draw(labels, count)
            self.noise = float(images.detach().double().sum())
            return images, drawn_labels

        pl_module.__dict__["_draw"] = recorded

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        del pl_module.__dict__["_draw"]
        weights = [float(p.detach().double().sum()) for p in pl_module.parameters()]
        images = batch[0].flatten(1).long()
        sums = (images * (images.new_tensor(range(1, 785)) ** 2)).sum(1).tolist()
        self.rows.append({"images": sums, "noise": self.noise, "weights": weights})

    def on_fit_end(self, trainer, pl_module):
        path = self.folder / f"rank_{trainer.global_rank}.json"
        path.write_text(json.dumps({"rows": self.rows, "images_seen": pl_module.images_seen}))
