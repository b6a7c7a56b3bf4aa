"""Workers that share a folder serve the same model."""

import asyncio
import itertools
import multiprocessing
import shutil
import time
from types import SimpleNamespace

import pytest
from tiny_generators import replace
from waiting import until

from gan.inference import DigitGenerator
from gan.serve import models
from gan.serve.service import Service

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick_looks")]


async def test_other_workers_follow_a_reload(settings, ckpt):
    first, second = (Service(settings(model=ckpt), ckpt.parent) for _ in range(2))
    async with first.running(), second.running():
        old = second.models.default.version
        replace(ckpt, 640)
        new = (await first.models.reload("default")).version
        await until(lambda: second.models.default.version != old)
        assert second.models.default.version == new != old


async def test_a_worker_that_starts_after_the_file_was_replaced_takes_the_others_along(settings, ckpt):
    first, second = (Service(settings(model=ckpt), ckpt.parent) for _ in range(2))
    async with first.running():
        replace(ckpt, 640)
        async with second.running():
            await until(lambda: first.models.default.version == second.models.default.version)
            assert first.models.default.info["images_seen"] == 640


async def test_a_reload_that_outlasts_its_request_reaches_all_workers(settings, ckpt, monkeypatch):
    service = Service(settings(model=ckpt), ckpt.parent)
    async with service.running():
        before, told = service.models.default.version, ckpt.parent / "default.version"
        replace(ckpt, 640)
        read = DigitGenerator.open
        monkeypatch.setattr(DigitGenerator, "open", lambda *args: time.sleep(0.3) or read(*args))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await service.models.reload("default")
        await until(lambda: told.read_text() != before)
        assert told.read_text() == service.models.default.version
        assert service.models.default.info["images_seen"] == 640


async def test_a_file_that_changes_all_the_time_is_read_now_and_then(settings, ckpt, monkeypatch):
    monkeypatch.setattr(models, "CHECK_SECONDS", 0.01)
    service = Service(settings("watch=true", model=ckpt), ckpt.parent)
    look, count = models.Models._look, itertools.count(1)
    monkeypatch.setattr(models.Models, "_look", lambda self, model: (*look(self, model)[:3], -next(count)))
    async with service.running():
        replace(ckpt, 640)
        await until(lambda: service.models.default.info["images_seen"] == 640)


async def test_a_file_that_grows_is_not_read(settings, ckpt, monkeypatch):
    """It is being copied, and half of it would be refused."""
    watched = models.Models(settings("watch=true", model=ckpt))
    now = models.stamp(ckpt)
    looks = iter([(*now[:3], size) for size in range(50)] + [(*now[:3], 50)])
    monkeypatch.setattr(models.Models, "_look", lambda self, model: next(looks))
    assert [watched._is_new(watched.default) for _ in range(51)] == [False] * 51


async def test_a_worker_follows_on_when_the_system_has_cleaned_the_shared_folder(settings, ckpt):
    first, second = (Service(settings(model=ckpt), ckpt.parent) for _ in range(2))
    async with first.running(), second.running():
        (ckpt.parent / "default.version").unlink()
        await asyncio.sleep(0.1)
        replace(ckpt, 640)
        new = (await first.models.reload("default")).version
        await until(lambda: second.models.default.version == new)


async def test_a_reload_makes_a_cleaned_folder_again(settings, ckpt, tmp_path):
    (shared := tmp_path / "shared").mkdir()
    service = Service(settings(model=ckpt), shared)
    async with service.running():
        shutil.rmtree(shared)
        replace(ckpt, 640)
        new = (await service.models.reload("default")).version
        assert (shared / "default.version").read_text() == new


@pytest.mark.parametrize("parent_lives", [True, False])
async def test_workers_whose_parent_was_killed_leave_no_folder(settings, ckpt, tmp_path, monkeypatch, parent_lives):
    (shared := tmp_path / "shared").mkdir()
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(is_alive=lambda: parent_lives))
    async with Service(settings(model=ckpt), shared).running():
        assert (shared / "default.version").is_file()
    assert shared.exists() is parent_lives
