"""What one override sets."""

import pytest

from gan.config.overrides import ckpt_path_of, is_of_sweep, key_of, replaces


@pytest.mark.parametrize("override", ["a.b=1", "+a.b=1", "++a.b=c=d", "~a.b", "~a.b=1"])
def test_the_key_of_each_kind_of_override(override):
    assert key_of(override) == "a.b"


@pytest.mark.parametrize(
    ("override", "named"),
    [("ckpt_path=auto", "auto"), ("++ckpt_path='auto'", "auto"), ('ckpt_path="a b"', "a b"), ("init_from=a", None)],
)
def test_what_ckpt_path_names(override, named):
    assert ckpt_path_of(override) == named


@pytest.mark.parametrize(
    ("override", "of_sweep"),
    [
        ("hydra/launcher=joblib", True),
        ("hydra.sweeper.n_trials=3", True),
        ("+pruner.n_warmup_steps=1", True),
        ("hydra.run.dir=x", False),
        ("model.sweep=1", False),
    ],
)
def test_what_sets_up_a_sweep(override, of_sweep):
    assert is_of_sweep(override) is of_sweep


@pytest.mark.parametrize(
    ("new", "old", "whole"),
    [
        ("data={batch_size: 30}", "data=digits", False),
        ("data={batch_size: 30}", "data={val_size: 9}", False),
        ("model=dcgan", "model={latent_dim: 9}", False),
        ("model=dcgan", "model=conditional", True),
        ("callbacks.plots={_target_: gan.callbacks.Plots}", "~callbacks.plots", True),
        ("model.loss={_target_: gan.losses.Hinge}", "model.loss={_target_: a.B, c: 1}", True),
    ],
)
def test_an_override_that_replaces_another_leaves_nothing_of_it(new, old, whole):
    assert replaces(new, old) is whole
