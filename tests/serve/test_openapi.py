"""Generated requests: no server error, and only responses that the OpenAPI schema describes."""

import pytest
from tiny_generators import save_checkpoint

from gan.config import compose
from gan.serve.app import create_app
from gan.serve.settings import read_settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    import schemathesis  # only where these tests run: it takes seconds

    folder = tmp_path_factory.mktemp("models")
    models = [
        f"{name}: {{ckpt: '{save_checkpoint(folder / f'{name}.ckpt', num_classes=classes)}', weight: 0.5}}"
        for name, classes in (("conditional", 10), ("unconditional", None))
    ]
    limits = ["max_images=64", "queue_size=64", "max_job_images=64", "max_jobs=3", f"jobs_dir='{folder / 'jobs'}'"]
    options = ["device=cpu", *limits, f"models={{{', '.join(models)}}}"]
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(read_settings(compose("serve", options))))


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_every_response_matches_the_schema(schema, mode):
    """For all endpoints in one test: to import what generates requests takes longer than to send them."""
    import hypothesis
    from schemathesis import GenerationMode
    from schemathesis.checks import CHECKS
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    # valid values may not fit each other or the model; then 422 is right
    checked = [check for check in CHECKS.get_all() if check is not positive_data_acceptance]
    settings = hypothesis.settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],  # as it is on a busy machine
    )
    operations = [(path, method) for path, methods in schema.raw_schema["paths"].items() for method in methods]
    assert len(operations) > 20
    for path, method in operations:
        operation = schema[path][method]
        if mode == "positive" or operation.body or operation.path_parameters:  # else no input could be invalid

            @settings
            @hypothesis.given(case=operation.as_strategy(generation_mode=GenerationMode(mode)))
            def check(case):
                case.call_and_validate(checks=checked)

            check()
