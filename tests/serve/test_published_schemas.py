"""The bodies of two published services: contracts, which the endpoints' own tests show in responses."""

import pytest
from pydantic import ValidationError

from gan.serve.published_schemas import BatchRequest, DigitRequest, GenerateRequest


def test_fields_have_their_defaults_and_unknown_ones_are_ignored():
    assert GenerateRequest(style="bold").model_dump() == {"num_images": 1, "return_format": "base64"}
    assert DigitRequest(digit=9, style="bold").model_dump() == {"digit": 9, "seed": None}
    assert BatchRequest(batch_size=64).model_dump() == {"batch_size": 64, "grid": False}
    assert BatchRequest().batch_size == 16


@pytest.mark.parametrize(
    ("schema", "fields"),
    [
        *((GenerateRequest, {"num_images": count}) for count in (0, "3", 1.5)),
        (GenerateRequest, {"return_format": "png"}),
        *((DigitRequest, {"digit": digit}) for digit in (-1, 10, "3")),
        *((DigitRequest, {"seed": seed}) for seed in (-1, 2**63)),
        *((BatchRequest, {"batch_size": count}) for count in (0, 65)),
        (BatchRequest, {"grid": "yes"}),
    ],
)
def test_other_values_are_refused(schema, fields):
    with pytest.raises(ValidationError):
        schema(**fields)
