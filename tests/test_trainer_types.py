from tiny_module import fit

from gan.callbacks.budget import NoMoreBatches
from gan.trainer_types import Trainer


def test_lightning_gives_a_run_what_the_types_name(tmp_path):
    trainer = fit(tmp_path, NoMoreBatches(), epochs=None)
    assert [name for name in Trainer.__annotations__ if getattr(trainer, name) is None] == []
