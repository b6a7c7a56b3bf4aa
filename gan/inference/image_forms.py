"""The forms in which a generator returns its images: tensors, arrays, pictures, text, and one picture of all."""

from collections.abc import Callable, Sequence
from typing import Literal, overload

import numpy as np
from PIL import Image
from torch import Tensor

from gan.config.allowed import OPTIONAL_COUNT
from gan.errors import UserError
from gan.images import base64_pngs, grid, pictures
from gan.inference.arguments import Select, number

Digits = Sequence[int] | None


class ImageForms:
    """The part of `DigitGenerator` that returns what it generates in other forms than a tensor."""

    generate: Callable[..., Tensor]

    @overload
    def images(
        self,
        num_images: int,
        digits: Digits = ...,
        seed: int | None = ...,
        truncation: float | None = ...,
        select: Select = ...,
        return_format: Literal["tensor"] = ...,
    ) -> Tensor: ...
    @overload
    def images(
        self,
        num_images: int,
        digits: Digits = ...,
        seed: int | None = ...,
        truncation: float | None = ...,
        select: Select = ...,
        *,
        return_format: Literal["numpy"],
    ) -> np.ndarray: ...
    @overload
    def images(
        self,
        num_images: int,
        digits: Digits = ...,
        seed: int | None = ...,
        truncation: float | None = ...,
        select: Select = ...,
        *,
        return_format: Literal["pil"],
    ) -> list[Image.Image]: ...
    @overload
    def images(
        self,
        num_images: int,
        digits: Digits = ...,
        seed: int | None = ...,
        truncation: float | None = ...,
        select: Select = ...,
        *,
        return_format: Literal["base64"],
    ) -> list[str]: ...
    def images(
        self,
        num_images: int,
        digits: Digits = None,
        seed: int | None = None,
        truncation: float | None = None,
        select: Select = None,
        return_format: Literal["tensor", "numpy", "pil", "base64"] = "tensor",
    ) -> Tensor | np.ndarray | list[Image.Image] | list[str]:
        """The images of `generate`: a tensor or an array uint8 [N, C, 28, 28], PIL images, or PNG files in base64."""
        if return_format not in ("tensor", "numpy", "pil", "base64"):
            raise UserError(f"return_format={return_format}: tensor, numpy, pil or base64")
        images = self.generate(num_images, digits, seed, 0, truncation, select)
        if return_format == "numpy":
            return images.numpy()
        if return_format == "pil":
            return pictures(images)
        return base64_pngs(images) if return_format == "base64" else images

    def grid(
        self,
        num_images: int,
        digits: Digits = None,
        seed: int | None = None,
        truncation: float | None = None,
        select: Select = None,
        columns: int | None = None,
    ) -> Image.Image:
        """The images of `generate` as one picture, row by row; without `columns` about square."""
        columns = number(OPTIONAL_COUNT, "columns", columns)
        return grid(self.generate(num_images, digits, seed, 0, truncation, select), columns)
