"""The JSON of changing a stream and of trying a connection."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from streamapp.faces import Mode
from streamapp.log import redact
from streamapp.server.schemas import SourceText, StreamName
from streamapp.sources.trial import Outcome, Step, Trial


class StreamChange(BaseModel):
    """What to change of a stream; what is left out stays as it is."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"source": "rtsp://***@camera.lan:554/sub"}, {"mode": "full"}]}
    )

    name: StreamName | None = None
    source: SourceText | None = None
    mode: Mode | None = None
    record: bool | None = None
    privacy: bool | None = Field(
        None, description="Blur who is not enrolled; also where false if that is the server's."
    )


class TrialRequest(BaseModel):
    """A source to try."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"source": "rtsp://user:password@camera.lan/live"}]}
    )

    source: SourceText | None = Field(None, description="As of a stream to add; left out: that of `stream`.")
    stream: StreamName | None = Field(None, description="A stream whose hidden user name and password may be used.")

    @model_validator(mode="after")
    def _something_to_try(self) -> Self:
        if self.source is None and self.stream is None:
            raise ValueError("give source, stream, or both")
        return self


class TrialStep(BaseModel):
    """One step on the way to a picture."""

    step: Step
    outcome: Outcome
    detail: str = Field(description="In words; empty for a step that was not reached.")


class StreamTrial(BaseModel):
    """What came of trying a source."""

    works: bool
    code: str | None = Field(description="Why it does not work, as a stable code.")
    reason: str | None = Field(description="Why it does not work, in words.")
    steps: list[TrialStep] = Field(description="In order.")
    first_picture_ms: float | None = Field(description="From the beginning to the first picture.")
    width: int | None
    height: int | None
    codec: str | None
    fps: float | None = Field(description="Of the pictures that came in the first one and a half seconds.")

    @classmethod
    def of(cls, trial: Trial) -> StreamTrial:
        error, pictures = trial.error, trial.pictures
        return cls(
            works=error is None,
            code=None if error is None else error.code,
            reason=None if error is None else redact(str(error)),
            steps=[TrialStep(step=r.step, outcome=r.outcome, detail=redact(r.detail)) for r in trial.steps],
            first_picture_ms=pictures.first_after_ms if pictures else None,
            width=pictures.width if pictures else None,
            height=pictures.height if pictures else None,
            codec=pictures.codec if pictures else None,
            fps=pictures.fps if pictures else None,
        )
