"""A depot's web application: FastAPI, asyncpg, and jobs that share its transactions.

    uvicorn app:app --app-dir examples/fastapi_app

Shipments are stored by the application itself; their parcels, of which there
may be thousands, are left to a job. Both are in one transaction: a shipment
without its job, or a job without its shipment, cannot be.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import asyncpg
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from celeriac import AsyncClient, BadPayload, BrokerUnavailable, JobFailed, WaitTimeout, outbox

POOL_CONNECTIONS = 10
REPORT_SECONDS = 60
VAN_GRAMS = 1_000_000

STORE_SHIPMENT = "INSERT INTO depot.shipment (sender) VALUES ($1) RETURNING number"
STATE = "SELECT celeriac.state($1)"


class Parcel(BaseModel):
    """One parcel, as the sender announces it."""

    code: str
    grams: int


class Shipment(BaseModel):
    """Parcels that come together."""

    sender: str
    parcels: list[Parcel] = Field(min_length=1, max_length=10_000)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep one pool and one client for the whole life of the process."""
    pool = asyncpg.create_pool(os.environ["CELERIAC_DATABASE_URL"], max_size=POOL_CONNECTIONS)
    urls = (os.environ["CELERIAC_BROKER_URL"], os.environ["CELERIAC_RESULT_URL"])
    async with pool, AsyncClient(*urls) as client:
        app.state.pool, app.state.client = pool, client
        yield


app = FastAPI(lifespan=lifespan)


@app.exception_handler(BadPayload)
async def refuse(_: Request, error: BadPayload) -> JSONResponse:
    """Answer what no worker would take, a report that does not exist for one."""
    return JSONResponse({"detail": str(error)}, 422)


@app.exception_handler(BrokerUnavailable)
async def ask_to_come_again(_: Request, error: BrokerUnavailable) -> JSONResponse:
    """Answer while Redis is away. Shipments do not need it, and go on."""
    return JSONResponse({"detail": str(error)}, 503, {"Retry-After": "5"})


async def in_transaction(request: Request) -> AsyncIterator[asyncpg.Connection]:
    """Lend a connection, in a transaction that commits before the answer is sent."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        yield connection


async def shared_client(request: Request) -> AsyncClient:
    """Lend the client of the process."""
    return request.app.state.client


Connection = Annotated[asyncpg.Connection, Depends(in_transaction, scope="function")]
SharedClient = Annotated[AsyncClient, Depends(shared_client)]


@app.post("/shipments", status_code=202)
async def announce_shipment(shipment: Shipment, connection: Connection) -> dict[str, Any]:
    """Store a shipment, and leave its parcels to a job of the same transaction."""
    number = await connection.fetchval(STORE_SHIPMENT, shipment.sender)
    rows = [parcel.model_dump() | {"shipment": number} for parcel in shipment.parcels]
    job = await outbox(connection).ingest("parcels", rows)
    if sum(parcel.grams for parcel in shipment.parcels) > VAN_GRAMS:
        # As late as this to show it: the shipment and its job are both undone.
        raise HTTPException(422, f"a van takes {VAN_GRAMS} g at most, send it in parts")
    return {"shipment": number, "job": job}


@app.post("/scans", status_code=202)
async def scan(parcel: Parcel, client: SharedClient) -> dict[str, str]:
    """Send a scan straight to Redis: the fastest way, for what may be lost with it."""
    ticket = await client.ingest("scans", parcel.model_dump(), track=False)
    return {"job": ticket.id}


@app.get("/jobs/{job}")
async def show_job(job: str, connection: Connection) -> dict[str, str]:
    """Say what PostgreSQL knows of a job: all there is to know of one from the outbox."""
    return {"job": job, "state": await connection.fetchval(STATE, job)}


@app.get("/reports/{name}")
async def show_report(name: str, client: SharedClient) -> dict[str, Any]:
    """Ask for a report, and wait for it; other requests are answered meanwhile."""
    ticket = await client.report(name, format="csv")
    try:
        return await ticket.wait(REPORT_SECONDS)
    except WaitTimeout as error:
        raise HTTPException(504, str(error)) from error
    except JobFailed as error:
        raise HTTPException(502, str(error)) from error
