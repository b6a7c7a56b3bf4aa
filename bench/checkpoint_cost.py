"""What a checkpoint costs: seconds to write it, and the share of a run that writes one every ten minutes.

python bench/checkpoint_cost.py
"""

import tempfile
import time
from statistics import median
from typing import Any

from gan.callbacks.checkpoints import RunCheckpoints
from gan.config import compose
from gan.train import train

FIXED = ("data=digits", "max_images=2400", "trainer.max_epochs=20", "callbacks.checkpoints.every_n_minutes=1e-6")


def main() -> None:
    save, seconds = RunCheckpoints._save, []

    def timed(*arguments: Any, **options: Any) -> None:
        started = time.perf_counter()
        save(*arguments, **options)
        seconds.append(time.perf_counter() - started)

    RunCheckpoints._save = timed
    for model in ("conditional", "dcgan"):
        seconds.clear()
        with tempfile.TemporaryDirectory() as folder:
            train(compose("train", [*FIXED, f"model={model}", f"output_dir='{folder}/run'", "~callbacks.plots"]))
        middle = median(seconds)
        print(f"model={model}: {middle:.3f} s (median of {len(seconds)}), {middle / 600:.3%} of ten minutes")


if __name__ == "__main__":
    main()
