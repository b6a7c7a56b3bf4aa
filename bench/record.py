"""Trains seeds of an experiment, measures each, and prints their means and standard deviations.

    python bench/record.py --seeds 10 --table docs/records/quick.csv quick

The runs are in `outputs/record/EXPERIMENT/SEED`. One that has ended is not trained again, and one that was stopped is
resumed, so a record can be continued. `--at-once 2` trains two seeds at a time, on one thread each; that changes their
weights. Settings behind the experiment go to `gan train`.

Minutes to the floor are those until the first validation with an accuracy of 99.7 % or more and a FID within the
floor's interval: of the validation's floor, as wide (in proportion) as that of the test images' floor. They are
estimated as in `bench/quality_per_minute.py`.
"""

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from quality_per_minute import validations

MEASURES = {
    "fid": "test/fid_mnist",
    "accuracy": "test/digit_accuracy",
    "precision": "test/precision_mnist",
    "recall": "test/recall_mnist",
    "coverage": "test/coverage_mnist",
}
FLOOR_ACCURACY = 0.997
Row = dict[str, float | None]


def gan(log: Path, threads: int | None, *arguments: str) -> None:
    """Runs a command of `gan`, with its output in a file; a RuntimeError if it fails."""
    environment = {**os.environ, **({} if threads is None else {"OMP_NUM_THREADS": str(threads)})}
    command = [sys.executable, "-m", "gan", *arguments]
    with log.open("a", encoding="utf-8") as output:
        ended = subprocess.run(command, env=environment, stdout=output, stderr=output)
    if ended.returncode:
        raise RuntimeError(f"gan {' '.join(arguments)}: exit status {ended.returncode}, see {log}")


def record(experiment: str, seed: int, threads: int | None, settings: list[str]) -> tuple[Row, Row]:
    """Trains and measures a seed, as far as that is not done yet: its row, and that of the floor."""
    folder = Path("outputs", "record", experiment, str(seed))
    folder.parent.mkdir(parents=True, exist_ok=True)
    log, evaluation = folder.with_suffix(".log"), folder / "evaluation"
    if not (folder / "summary.json").exists():
        resumed = (f"hydra.run.dir={folder}", "ckpt_path=auto")
        gan(log, threads, "train", f"experiment={experiment}", f"seed={seed}", *settings, *resumed)
    if not (evaluation / "metrics.json").exists():
        gan(log, threads, "evaluate", f"ckpt={folder}/checkpoints/last.ckpt", f"hydra.run.dir={evaluation}")
    content = json.loads((evaluation / "metrics.json").read_text(encoding="utf-8"))
    floor = content["measures"].pop("floor")
    (own,) = content["measures"].values()
    fid = MEASURES["fid"]
    widened = content["intervals"]["floor"][fid][1] / floor[fid]
    summary, found = validations(folder)
    row = {"seed": seed, "images": summary["images_seen"], "minutes": summary["minutes"]}
    row["minutes_to_floor"] = minutes_to(found, summary["floor"]["val/fid_mnist"] * widened)
    return row | {name: own[key] for name, key in MEASURES.items()}, {n: floor[key] for n, key in MEASURES.items()}


def minutes_to(found: list[dict[str, float]], fid: float) -> float | None:
    """Minutes until the first validation at that FID or less and at the floor's accuracy; None if there is none."""
    for row in found:
        if row["val/fid_mnist"] <= fid and row["val/digit_accuracy"] >= FLOOR_ACCURACY:
            return row["minutes"]
    return None


def mean_and_deviation(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    deviation = f" ± {statistics.stdev(known):.4g}" if len(known) > 1 else ""
    partly = f" ({len(known)} of {len(values)} seeds)" if len(known) < len(values) else ""
    return f"{statistics.mean(known):.4g}{deviation}{partly}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--table", type=Path, help="a CSV file with a row for each seed")
    parser.add_argument("settings", nargs="*")
    arguments = parser.parse_args()
    threads = None if arguments.at_once == 1 else 1
    with ThreadPoolExecutor(arguments.at_once) as pool:
        jobs = [
            pool.submit(record, arguments.experiment, seed, threads, arguments.settings)
            for seed in range(arguments.seeds)
        ]
        rows, floors = zip(*(job.result() for job in jobs), strict=True)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.platform()}")
    print(f"Python {platform.python_version()}, torch {torch.__version__}, threads a seed: {threads or 'all'}")
    print(f"\n| {arguments.experiment} | mean ± standard deviation of {len(rows)} seeds | floor |")
    print("| --- | --- | --- |")
    for name in list(rows[0])[1:]:
        floor = f"{floors[0][name]:.4g}" if name in floors[0] else ""
        print(f"| {name} | {mean_and_deviation([row[name] for row in rows])} | {floor} |")
    if arguments.table:
        arguments.table.parent.mkdir(parents=True, exist_ok=True)
        with arguments.table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        print(f"\n{arguments.table}")


if __name__ == "__main__":
    main()
