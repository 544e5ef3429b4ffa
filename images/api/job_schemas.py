"""Schemas of jobs: the builds of images, as public clients read them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from ri_platform.api import Camel, Line

# No agents are registered: the instance's own workers have the identifier that names none.
NO_AGENT = UUID(int=0)


class JobStatus(StrEnum):
    """A job's status."""

    UNSPECIFIED = "JOB_STATUS_UNSPECIFIED"
    REQUESTED = "JOB_STATUS_REQUESTED"
    PENDING = "JOB_STATUS_PENDING"
    RUNNING = "JOB_STATUS_RUNNING"
    SUCCEEDED = "JOB_STATUS_SUCCEEDED"
    FAILED = "JOB_STATUS_FAILED"
    CANCELLED = "JOB_STATUS_CANCELLED"


class AgentId(Camel):
    """An agent."""

    uuid: UUID = Field(examples=[str(NO_AGENT)])
    """Its identifier: zeros, for the instance's own workers."""


class LogAddress(Camel):
    """An address."""

    url: str = Field(examples=["https://images.example.org/job-logs/WzE3LDQyXQ:1vOa7Q:bTp5x"])
    """The address of the whole log, as text. Who has it needs no token."""


class ArchivedLog(Camel):
    """The log of a job that has ended."""

    url: LogAddress
    """Its address on this instance."""
    expiration_time: datetime
    """The time until which the address works; ask again for a new one."""


class Job(Camel):
    """A build of an image as a job, in the form of the public clients."""

    job_id: str = Field(examples=["17"])
    """The job's identifier."""
    job_type: Literal["JOB_TYPE_IMAGE_BUILDER"] = "JOB_TYPE_IMAGE_BUILDER"
    """Always that of building an image."""
    status: JobStatus = Field(examples=["JOB_STATUS_RUNNING"])
    """The status. A job is pending until a worker starts it."""
    creation_time: datetime
    """The time of the request."""
    start_time: datetime | None = None
    """The time when a worker started it."""
    completion_time: datetime | None = None
    """The time when it ended."""
    running_time_secs: float = Field(examples=[42.5])
    """Seconds from its start to its end, or until now; 0 before the start."""
    cancellation_requested: bool = Field(examples=[False])
    """Whether somebody cancelled it. The status says so at once, too."""
    termination_reason: str = Field(examples=["TERMINATION_REASON_NOT_TERMINATED"])
    """`TERMINATION_REASON_` with `NOT_TERMINATED`, `COMPLETED` or `GENERIC_ERROR`, for clients before 2.0."""
    agent_id: AgentId
    """The agent that runs it."""
    error_msg: str | None = Field(None, examples=[""])
    """The reason of a failure, in sentences."""
    job_progress_str: str | None = Field(None, examples=["Layers, step 3 of 5"])
    """In the full view of a job that has not ended: what it does or waits for."""
    archived_job_logs: ArchivedLog | None = None
    """In the full view of a job that has ended: its log."""


JobView = Literal["JOB_VIEW_UNSPECIFIED", "JOB_VIEW_BASIC", "JOB_VIEW_FULL"]
JobType = Annotated[Line, StringConstraints(max_length=100)]


class JobViewIn(Camel):
    """How much of a job to return."""

    view: JobView = "JOB_VIEW_BASIC"
    """`JOB_VIEW_FULL` for the progress and the log, too."""


class JobsIn(JobViewIn):
    """The page of jobs to return, and the filters of the first page, which the token carries on."""

    page_token: str = Field("", max_length=20_000)
    """The `nextPageToken` of the previous page; empty for the first page."""
    page_size: int = Field(20, ge=0, le=200)
    """The largest number of jobs to return; 0 for the default."""
    selected_statuses: list[JobStatus] = Field(
        default_factory=list, max_length=20, alias="firstPageQuery.selectedStatuses"
    )
    """Only jobs of one of these statuses; none for all."""
    selected_types: list[JobType] = Field(
        default_factory=list,
        max_length=20,
        alias="firstPageQuery.selectedTypes",
        examples=[["JOB_TYPE_IMAGE_BUILDER"]],
    )
    """Only jobs of one of these types. All of the platform's are `JOB_TYPE_IMAGE_BUILDER`."""
    object_id: Line = Field("", max_length=200, alias="firstPageQuery.objectId", examples=[""])
    """Only builds of the image of this name."""


class OneJob(Camel):
    """A job."""

    job: Job
    """The job."""


class JobsPage(Camel):
    """A page of jobs, newest first."""

    jobs: list[Job]
    """The jobs of this page."""
    next_page_token: str
    """The token of the next page; empty on the last one."""
    has_more: bool = Field(examples=[False])
    """Whether there is another page."""


class LogChunk(Camel):
    """A piece of a job's log."""

    chunk: str = Field(examples=["Resolving 3 requirements\n"])
    """The end of the log, at most 100,000 characters."""


class JobLog(Camel):
    """A job's log, in the frame of the original's streams."""

    result: LogChunk
    """The log."""
