"""Quality against time: the validations of training runs, as a table and a picture.

    python bench/quality_per_minute.py RUN [RUN ...] [--picture FILE]

A RUN is the folder of a finished run of `gan train` that was never resumed. The minutes of a validation are estimated:
the run's minutes (from `summary.json`, with validation and pictures) times the share of the run's images seen by then.
"""

import argparse
import json
from pathlib import Path

from matplotlib.figure import Figure

from gan.loggers import read_rows

MEASURES = ("val/fid_mnist", "val/digit_accuracy")


def validations(run: Path) -> tuple[dict, list[dict[str, float]]]:
    """A run's summary, and its validations: images, minutes and measures."""
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    rows = [row for row in read_rows(run / "metrics.csv") if row.get("val/fid_mnist")]
    found = []
    for row in rows:
        images = int(row["images_seen"])
        values = {name: float(row[name]) for name in MEASURES if row.get(name)}
        found.append({"images": images, "minutes": images / summary["images_seen"] * summary["minutes"], **values})
    return summary, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel="minutes", ylabel="val/fid_mnist", xscale="log", yscale="log")
    print("| run | device | images | minutes | val/fid_mnist | val/digit_accuracy |")
    print("| --- | --- | --- | --- | --- | --- |")
    for run in arguments.runs:
        summary, found = validations(run)
        last = found[-1]
        accuracy = f"{last['val/digit_accuracy']:.2%}" if "val/digit_accuracy" in last else "-"
        name = "/".join(run.resolve().parts[-2:])
        print(
            f"| {name} | {summary['device']} | {last['images']:,} | {last['minutes']:.1f} | "
            f"{last['val/fid_mnist']:.3f} | {accuracy} |"
        )
        axes.plot([row["minutes"] for row in found], [row["val/fid_mnist"] for row in found], marker="o", label=name)
    if arguments.picture:
        axes.legend()
        figure.savefig(arguments.picture, dpi=120)
        print(arguments.picture)


if __name__ == "__main__":
    main()
