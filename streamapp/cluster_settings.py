"""What can be set about several machines that work together."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class ClusterSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str | None = Field(
        None,
        description="HOST:PORT of a Ray cluster that this machine is part of (`streamapp cluster up`): streams and "
        "models then run on its nodes. Needs streamapp[cluster].",
    )
    gallery_copies: int = Field(
        10_000,
        ge=0,
        description="A gallery of up to so many people is copied into the memory of the processes that own streams, on "
        "every machine, and searched there; a larger one is searched by the server. 0: never copied.",
    )
    stream_kb_s: int = Field(
        150,
        ge=1,
        description="What a stream should send to models of other machines at most, in kB a second: the less, the more "
        "its jobs wait for models of its own machine, as long as that has room for them.",
    )
    crop_quality: int | None = Field(
        None,
        ge=50,
        le=100,
        description="Faces are sent to other machines as JPEG of this quality; unset: as they are. 95 takes a fifth of "
        "the bytes, and changes what models say a little.",
    )
    token_file: Path = Field(
        Path("keys/cluster.token"),
        description="The secret that the machines of a cluster share; made by the first `streamapp cluster up`.",
    )
