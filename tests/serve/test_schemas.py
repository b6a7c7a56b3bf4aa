"""The bodies of requests: which values they take."""

import pytest
from pydantic import ValidationError

from gan.serve.schemas import GridQuery, InterpolationRequest, JobEntry, JobRequest, SampleRequest
from gan.serve.settings import ModelSettings


def test_a_request_names_a_version_in_full_whatever_its_label():
    label = "v" * 64
    version = ModelSettings(ckpt="a.ckpt", version=label).version
    assert SampleRequest(version=f"{version}+0123456789ab").version.startswith(label)


def test_clients_can_count_on_every_field_of_a_job():
    schema = JobEntry.model_json_schema(mode="serialization")
    assert set(schema["required"]) == schema["properties"].keys()


@pytest.mark.parametrize(
    ("schema", "fields", "wrong"),
    [
        (SampleRequest, {"seed": [0, 2**63 - 1]}, {"seed": [-1, 2**63, "7", 1.5]}),
        (SampleRequest, {"seeds": [[1], [1, 1]]}, {"seeds": [[], [-1]]}),
        (SampleRequest, {"digits": [[0], [999]]}, {"digits": [[], [1000], [-1]]}),
        (SampleRequest, {"truncation": [0.1, 100.0]}, {"truncation": [0.0, 101.0, float("nan")]}),
        (SampleRequest, {"directions": [{"slant": -5.0}]}, {"directions": [{"slant": 5.1}, {"height": 1.0}]}),
        (InterpolationRequest, {"seeds": [[1, 2]]}, {"seeds": [[1]]}),
        (InterpolationRequest, {"steps": [2, 64]}, {"steps": [1, 65]}),
        (JobRequest, {"num_images": [1]}, {"num_images": [0, "1"]}),
        (GridQuery, {"digits": ["3", "3,141"]}, {"digits": ["", "3,", "1000", "\u0663"]}),
        (GridQuery, {"columns": [1, "1000"]}, {"columns": [0, 1001]}),
    ],
)
def test_values_within_the_bounds_are_taken_and_others_refused(schema, fields, wrong):
    needed = {InterpolationRequest: {"seeds": [1, 2]}, JobRequest: {"num_images": 1}}.get(schema, {})
    for name, values in fields.items():
        for value in values:
            schema.model_validate(needed | {name: value})
    for name, values in wrong.items():
        for value in values:
            with pytest.raises(ValidationError) as caught:
                schema.model_validate(needed | {name: value})
            assert {error["loc"][0] for error in caught.value.errors()} == {name}
