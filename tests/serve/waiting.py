"""Waiting for what happens beside a test."""

import asyncio
import inspect


async def until(holds):
    """Waits until `holds`, which may be a coroutine function, returns something true."""
    async with asyncio.timeout(30):
        while not (await found if inspect.isawaitable(found := holds()) else found):
            await asyncio.sleep(0.01)
