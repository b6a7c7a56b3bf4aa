"""Numbers that a caller in Python gives."""

import numpy as np
import pytest

from gan.config.bounds import COUNT
from gan.errors import UserError
from gan.inference.number_checks import plain, plain_numbers, plain_path


def test_numbers_of_numpy_are_those_of_python():
    assert [type(plain(value)) for value in (np.int64(3), np.float32(0.5), 3, None)] == [int, float, int, type(None)]
    seeds, steps = plain_path([np.uint8(1), 2], np.uint8(2))
    assert [type(number) for number in (*plain_numbers(COUNT, num_images=np.uint8(3)), *seeds, steps)] == [int] * 4


@pytest.mark.parametrize(
    ("seeds", "steps", "named"), [([1], 2, "seeds="), ([1, 2.5], 2, "seeds[1]=2.5"), ([1, 2], 1, "steps=1")]
)
def test_a_wrong_number_is_named(seeds, steps, named):
    with pytest.raises(UserError) as raised:
        plain_path(seeds, steps)
    assert str(raised.value).startswith(named)
