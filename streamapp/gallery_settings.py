"""What can be set about the people who are recognised, and about everybody else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from streamapp.choices import GalleryBackend


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GallerySettings(_Section):
    backend: GalleryBackend = Field(
        GalleryBackend.SQLITE, description="Where people are kept; postgres needs streamapp[postgres]."
    )
    file: Path = Field(Path("gallery/gallery.db"), description="The SQLite database.")
    key_file: Path = Field(
        Path("keys/gallery.key"),
        description="The key that everything in the gallery is encrypted with; made at first use. "
        "Keep a copy, apart from copies of the database: each is useless without the other.",
    )
    postgres_url: SecretStr | None = Field(None, description="postgresql://USER:PASSWORD@HOST/DATABASE.")
    pgvector: bool = Field(
        False,
        description="Search inside PostgreSQL by its vector extension. Vectors are then NOT encrypted: docs/adr/0010.",
    )
    busy_timeout_s: Annotated[float, Field(gt=0)] = Field(
        5.0, description="How long to wait while another program holds the database; then 503."
    )
    false_match_rate: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.01, description="How often a stranger's face may be taken for anybody, whatever the number of people."
    )
    min_margin: Annotated[float, Field(ge=0)] = Field(
        0.5,
        description="A face is named only if the runner-up is this much less alike (levels, see docs/evaluation.md).",
    )
    max_attempts: Annotated[int, Field(ge=2)] = Field(
        20, description="A face still undecided after so many looks counts as unknown."
    )
    identify_spoofs: bool = Field(False, description="Also name faces that look like a photo or a screen.")
    max_unseen_days: Annotated[float, Field(gt=0)] = Field(
        365.0, description="A person not seen for so long is erased by the retention job, whatever the consent says."
    )
    keep_rejected_faces: bool = Field(
        True,
        description='Keep, encrypted, what a face looks like of which was said "this is not X", so that it is not '
        "taken for X again; else that holds for the track only.",
    )
    rejected_faces_days: Annotated[float, Field(gt=0)] = Field(
        90.0, description="How long such a face is kept, at most; it also goes when X is erased."
    )


class PrivacySettings(_Section):
    blur_unknown: bool = Field(
        False,
        description="Blur the faces of people who are not enrolled in every picture that leaves the app, recordings "
        "included, on every stream. Whoever adds a stream may switch it on for that one, never off.",
    )
