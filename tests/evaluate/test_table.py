"""The table of an evaluation."""

from pathlib import Path

import pytest

from gan.evaluate.table import markdown, over_repeats, short_names


def test_markdown():
    columns = {"a": {"x": 1.0, "x_spread": 0.25, "y": 2.0}, "floor": {"x": 0.5}}
    assert markdown(columns).splitlines()[2:] == ["| x | 1 ± 0.25 | 0.5 |", "| y | 2 | - |"]
    bounds = {"a": {"x": (0.75, 1.25)}}
    assert "| x | 1 ± 0.25 [0.75, 1.25] | 0.5 |" in markdown(columns, intervals=bounds)
    both = {"a": {"x": 1.0, "x_class_3": 2.0, "y": 3.0}}
    rows = [line.split(" | ")[0] for line in markdown(both).splitlines()[2:]]
    assert rows == ["| x", "| y", "", "| measure", "| ---", "| x_class_3"]
    table = markdown({"a|b": {"own_spread": 1.0}})  # a measure of one's own, and no spread of another one
    assert table.splitlines() == [r"| measure | a\|b |", "| --- | --- |", "| own_spread | 1 |"]


def test_the_best_of_several_models_is_bold_and_an_arrow_says_which_way():
    columns = {"a": {"x": 1.0, "y": 2.0, "z": 3.0}, "b": {"x": 0.5, "y": 1.0}, "floor": {"x": 0.25, "y": 9.0}}
    better = {"x": "lower", "y": "higher", "z": "lower"}
    assert markdown(columns, better).splitlines()[2:] == [
        "| x ↓ | 1 | **0.5** | 0.25 |",
        "| y ↑ | **2** | 1 | 9 |",
        "| z ↓ | 3 | - | - |",
    ]
    assert "**" not in markdown({"a": columns["a"], "floor": columns["floor"]}, better)


def test_repeats_become_means_with_their_spread_and_the_interval_of_a_single_one():
    first = {"x": 1.0}, {"x": (0.0, 2.0)}
    second = {"x": 3.0, "y": 5.0}, {"x": (1.0, 5.0), "y": (4.0, 6.0)}
    values, intervals = over_repeats([first, second])
    assert values == {"x": 2, "y": 5, "x_spread": pytest.approx(2**0.5)}
    assert intervals == {"x": (0.5, 3.5), "y": (4, 6)}


def test_columns_have_names_that_tell_files_apart():
    def named(*paths):
        return short_names([Path(path) for path in paths])

    assert named("/o/train/a/checkpoints/best.ckpt") == ["a/best"]
    assert named("/o/multirun/lr/0/checkpoints/best.ckpt") == ["lr/0/best"]
    assert named("/m/lr/0/checkpoints/best.ckpt", "/m/bs/0/checkpoints/best.ckpt") == ["lr/0/best", "bs/0/best"]
    assert named("/a/x/d.ckpt", "/a/y/d.ckpt") == ["x/d", "y/d"]
    assert named("/a/d.ckpt", "/a/d.onnx") == ["/a/d.ckpt", "/a/d.onnx"]
    assert named("/a/floor.ckpt") == ["a/floor"]
    assert named("/gan/pretrained/generator.safetensors", "/x.npz") == ["pretrained/generator", "x"]


def test_of_equal_values_none_is_the_best():
    assert "| m ↑ | 10 | 10 |" in markdown({"a": {"m": 10}, "b": {"m": 10}}, {"m": "higher"})
    assert "| m ↑ | **10** | 9 | **10** |" in markdown({"a": {"m": 10}, "b": {"m": 9}, "c": {"m": 10}}, {"m": "higher"})
