"""Exports of two of the session's runs, for the conftest.py of folders whose tests read them."""

import pytest

MODELS = ("conditional", "unconditional")


@pytest.fixture(scope="session")
def files(trained, shared):
    """Exports of both models in both formats, by (model, format). Tests read them and leave them as they are."""
    from gan.config import compose
    from gan.export import export

    names = {(model, form): f"{model}_{form}.{form}" for model in MODELS for form in ("safetensors", "onnx")}

    def fill(folder):
        for (model, form), name in names.items():
            output = [f"format={form}", f"output='{folder / name}'", f"output_dir='{folder}'"]
            export(compose("export", [f"ckpt='{trained(model) / 'checkpoints' / 'last.ckpt'}'", *output]))

    folder = shared("exports", fill)
    return {key: folder / name for key, name in names.items()}
