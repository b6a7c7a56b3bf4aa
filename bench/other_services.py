"""Other services for `bench/serving.py`, with the pretrained generator: POST /generate-digit {"digit": 3, "seed": 7}.

    python bench/other_services.py constant|onnxruntime|litserve PORT

`constant` is the floor: a FastAPI route that returns the same PNG file each time. `onnxruntime` is the shortest that
works: FastAPI, a `session.run` for each request, Pillow. `litserve` batches requests for torch in another process. None
of them has limits, logs or metrics, nor gives a seed the same bytes in each batch.
"""

import base64
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import BaseModel

try:
    from litserve import LitAPI, LitServer
except ModuleNotFoundError:
    LitAPI = LitServer = object

MAX_BATCH, BATCH_TIMEOUT = 64, 0.003


class Body(BaseModel):
    digit: int
    seed: int


class Digits(LitAPI):
    def setup(self, device: str) -> None:
        import torch

        from gan.inference import DigitGenerator

        torch.set_num_threads(1)
        self.generator = DigitGenerator.open("pretrained", device="cpu")

    def decode_request(self, request: dict) -> tuple[int, int]:
        return request["digit"], request["seed"]

    def batch(self, inputs: list) -> tuple:
        import torch

        latents = torch.cat([self.generator.latents(seed, 0, 1) for _, seed in inputs])
        return latents, torch.tensor([digit for digit, _ in inputs])

    def predict(self, inputs: tuple) -> Any:
        import torch

        with torch.inference_mode():
            images = self.generator.network(*inputs)
        return ((images[:, 0] + 1) * 127.5).round().to(torch.uint8)

    def unbatch(self, output: Any) -> list:
        return list(output)

    def encode_response(self, output: Any) -> dict:
        return {"image": png_base64(output.numpy())}


def png_base64(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def run_app(app: Any, port: int) -> None:
    import uvicorn

    uvicorn.run(app, port=port, access_log=False, log_level="warning")


def constant(port: int) -> None:
    from fastapi import FastAPI, Response

    content = base64.b64decode(png_base64(np.zeros((28, 28), np.uint8)))
    app = FastAPI()

    @app.post("/generate-digit")
    async def generate_digit(body: Body) -> Response:
        return Response(content, media_type="image/png")

    run_app(app, port)


def onnxruntime(port: int) -> None:
    import onnxruntime
    from fastapi import FastAPI

    from gan.config import compose
    from gan.export import export
    from gan.inference import DigitGenerator

    with tempfile.TemporaryDirectory() as folder:
        file = export(compose("export", ["ckpt=pretrained", f"output='{folder}/a.onnx'", f"output_dir='{folder}'"]))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(Path(file), options, providers=["CPUExecutionProvider"])
    latent_dim = DigitGenerator.open("pretrained", device="cpu").latent_dim
    app = FastAPI()

    @app.post("/generate-digit")
    async def generate_digit(body: Body) -> dict[str, str]:
        latents = np.random.default_rng(body.seed).standard_normal((1, latent_dim), np.float32)
        (images,) = session.run(["images"], {"latents": latents, "labels": np.array([body.digit])})
        return {"image": png_base64(((images[0, 0] + 1) * 127.5).round().astype(np.uint8))}

    run_app(app, port)


def lit_serve(port: int) -> None:
    api = Digits(max_batch_size=MAX_BATCH, batch_timeout=BATCH_TIMEOUT, api_path="/generate-digit")
    LitServer(api, accelerator="cpu", workers_per_device=1).run(
        port=port, host="127.0.0.1", generate_client_file=False, log_level="warning", num_api_servers=1
    )


if __name__ == "__main__":
    {"constant": constant, "onnxruntime": onnxruntime, "litserve": lit_serve}[sys.argv[1]](int(sys.argv[2]))
