"""What a `_target_` may name."""

import pytest

from gan.config.targets import build, leaves, locate, packages_of
from gan.errors import UserError
from gan.losses import Hinge


def test_own_packages_are_built():
    assert isinstance(build({"_target_": "gan.losses.Hinge"}, "model.loss", ["gan.losses"], ()), Hinge)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "gan.losses.torch.load",
        "gan.train.train",
        "gan.losses_evil.f",
        "torch.optim.swa_utils.deepcopy",
    ],
)
def test_nothing_else_is_reached(target):
    with pytest.raises(UserError, match=r"model\.loss"):
        locate(target, "model.loss", ["gan.losses", "torch.optim"], ())


def test_a_package_alone_is_nothing_to_build():
    with pytest.raises(UserError, match=r"^model\.loss\._target_=fractions: "):
        locate("fractions", "model.loss", ["gan.losses"], ["fractions"])


def test_trust_allows_a_package():
    assert locate("fractions.Fraction", "model.loss", ["gan.losses"], ["fractions"])(1, 2) == 0.5


def test_wrong_arguments_are_told():
    with pytest.raises(UserError, match=r"model\.loss: got an unexpected keyword argument 'label_smoothing'"):
        build({"_target_": "gan.losses.Hinge"}, "model.loss", ["gan.losses"], (), label_smoothing=0.1)
    with pytest.raises(UserError, match=r"Hinge takes leak; without it: '~model\.loss\.label_smoothing'$"):
        build({"_target_": "gan.losses.Hinge", "label_smoothing": 0.1}, "model.loss", ["gan.losses"], ())
    with pytest.raises(
        UserError, match=r"; without it: '~model\.loss' '\+model\.loss=\{_target_: gan\.losses\.Hinge, \.\.\.\}'$"
    ):
        build({"_target_": "gan.losses.Hinge", "label_smoothing": None}, "model.loss", ["gan.losses"], ())
    with pytest.raises(UserError, match="Hinge"):
        locate("gan.losses.Hing", "model.loss", ["gan.losses"], ())


def test_packages_of_a_config():
    assert packages_of({"_target_": "a.b", "x": {"_target_": "c.d.e"}, "y": [{"_target_": "f.g"}]}) == ["a", "c", "f"]


def test_values_have_their_full_keys_and_a_list_of_plain_values_is_one():
    config = {"a": {"b": 1, "c": [1, 2]}, "d": [{"e": None}, 3, [{"f": "x"}]], "g": {}}
    assert dict(leaves(config)) == {"a.b": 1, "a.c": [1, 2], "d.0.e": None, "d.1": 3, "d.2.0.f": "x"}
    assert list(leaves(config["a"], "model", "/")) == [("model/b", 1), ("model/c", [1, 2])]
    assert list(leaves([{"a": 1}])) == [("0.a", 1)]
