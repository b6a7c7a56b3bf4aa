from types import SimpleNamespace

from omegaconf import OmegaConf

from gan.callbacks.settings_record import SettingsRecord


def test_settings_are_recorded_once_also_where_training_never_starts(tmp_path):
    cfg, trainer = (
        OmegaConf.create({"output_dir": str(tmp_path), "seed": 3}),
        SimpleNamespace(should_stop=False, is_global_zero=True),
    )
    started, never_started = SettingsRecord(cfg), SettingsRecord(cfg)
    started.on_train_start(trainer, None)
    (tmp_path / "config.yaml").unlink()
    started.on_fit_end(trainer, None)
    assert [*tmp_path.iterdir()] == []
    never_started.on_fit_end(trainer, None)
    assert OmegaConf.load(tmp_path / "config.yaml").seed == 3
