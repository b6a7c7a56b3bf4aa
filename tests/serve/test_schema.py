"""Whatever is sent: no server error, and nothing that the OpenAPI schema does not say."""

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.specs.openapi.checks import positive_data_acceptance
from tiny_generators import save_checkpoint

from gan.config import compose
from gan.serve.app import create_app
from gan.serve.settings import read_settings

pytestmark = pytest.mark.slow

# values that fit one by one may not fit together, or not the model: 422 is the right answer then
CHECKED = [check for check in CHECKS.get_all() if check is not positive_data_acceptance]
OPERATIONS = [
    (method, path)
    for path, methods in create_app(read_settings(compose("serve"))).openapi()["paths"].items()
    for method in methods
]


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    models = [
        f"{name}: {{ckpt: '{save_checkpoint(folder / f'{name}.ckpt', num_classes=classes)}', weight: 0.5}}"
        for name, classes in (("conditional", 10), ("unconditional", None))
    ]
    options = ["device=cpu", "max_images=64", "queue_size=64", f"models={{{', '.join(models)}}}"]
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(read_settings(compose("serve", options))))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_one_that_the_schema_describes(schema, method, path, mode):
    operation = schema[path][method]
    if mode.is_negative and not (operation.body or operation.path_parameters):
        return  # there is nothing to get wrong

    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(max_examples=20, deadline=None, derandomize=True, database=None)
    def check(case):
        case.call_and_validate(checks=CHECKED)

    check()
