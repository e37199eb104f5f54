"""What time is it elsewhere? `/time/{zone}` answers, `/health` says what the image gives the application."""

import os
import platform
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

app = FastAPI(title="clock")


class Time(BaseModel):
    zone: str
    time: datetime


class Health(BaseModel):
    status: str
    uid: int
    python: str
    root_writable: bool


@app.get("/")
async def index() -> dict[str, str]:
    return {"hello": "FastAPI", "try": "/time/Europe/Helsinki"}


@app.get("/time/{zone:path}")
async def time(zone: str) -> Time:
    try:
        return Time(zone=zone, time=datetime.now(UTC).astimezone(ZoneInfo(zone)))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise HTTPException(404, f"there is no time zone {zone!r}") from error


@app.get("/health")
async def health() -> Health:
    return Health(
        status="ok",
        uid=os.getuid(),
        python=platform.python_version(),
        root_writable=os.access("/", os.W_OK),
    )
