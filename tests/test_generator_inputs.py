"""What may be handed to a generator."""

import pytest
import torch

from gan.errors import UserError
from gan.generator_inputs import check_inputs

Z = torch.zeros(3, 8)


@pytest.mark.parametrize(
    ("z", "labels", "num_classes"),
    [
        (Z, None, None),
        (Z, torch.tensor([0, 9, 3]), 10),
        (Z, torch.tensor([0, 4, 3], dtype=torch.int32), 5),
        (Z[:0], torch.zeros(0, dtype=torch.int64), 10),
    ],
)
def test_what_fits_the_model_is_taken(z, labels, num_classes):
    check_inputs(z, labels, 8, num_classes, "sample")


@pytest.mark.parametrize(
    ("z", "labels", "num_classes", "message"),
    [
        (Z.half(), None, None, "z=float16 [3, 8]: latents are a float32 tensor [N, 8]"),
        (Z[0], None, None, "z=float32 [8]: latents"),
        (Z[:, 1:], torch.zeros(3).long(), 10, "z=float32 [3, 7]: latents"),
        ([0.0] * 8, None, None, "z=list: latents"),
        (Z.log(), None, None, "z=float32 [3, 8]: latents are finite numbers, and some of these are not"),
        (Z, torch.zeros(3).long(), None, "labels=int64 [3]: this model is unconditional and takes none"),
        (Z, None, 5, "a class for each image: sample(torch.randn(16, 8), labels=torch.arange(16) % 5)"),
        (Z, torch.zeros(3), 10, "labels=float32 [3]: an int64 tensor [3], one class for each latent: sample("),
        (Z, torch.zeros(3, 1).long(), 10, "labels=int64 [3, 1]: an int64 tensor [3]"),
        (Z, [1, 2, 3], 10, "labels=list: an int64 tensor [3]"),
        (Z, torch.tensor([0, 1, 5]), 5, "labels=0..5: classes are 0 to 4"),
        (Z, torch.tensor([-1, 1, 2]), 5, "labels=-1..2: classes are 0 to 4"),
    ],
)
def test_what_does_not_fit_is_one_line_with_what_does(z, labels, num_classes, message):
    with pytest.raises(UserError) as raised:
        check_inputs(z, labels, 8, num_classes, "sample")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
