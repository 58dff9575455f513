"""What is asked of /gallery: JSON, or the same as the fields of a form beside its pictures."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from streamapp.gallery.people import MAX_NAME_LENGTH, Consent
from streamapp.gallery.times import unix_time


def _printable(text: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("control characters are not taken")
    return text


Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME_LENGTH),
    AfterValidator(_printable),
]


class Permissions(BaseModel):
    """What is taken though it is refused otherwise."""

    model_config = ConfigDict(extra="forbid")

    allow_spoof: bool = Field(
        False, description="Take faces that look like a print or a screen, or are not surely live."
    )
    allow_duplicate: bool = Field(False, description="Take a face that is like somebody's in the gallery.")


class TrackReference(BaseModel):
    """A face on a live stream."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"stream": "door", "track": 12}]})

    stream: Annotated[str, Field(max_length=64)]
    track: int


class NewPerson(Permissions):
    """Who is enrolled, and their consent. Times are a date (until its end, UTC) or a date and time with an offset."""

    name: Text
    consent_by: Text = Field(description="Who gave it: the person, or who may speak for them.")
    consent_text: Text = Field(description="Which text, in which version, they agreed to.")
    consent_until: Annotated[str, Field(max_length=40)]
    consent_at: Annotated[str, Field(max_length=40)] | None = Field(None, description="Unset: now.")

    def consent(self, now: float) -> Consent:
        """Raises EnrolmentInvalid."""
        given_at = now if self.consent_at is None else unix_time(self.consent_at)
        return Consent(self.consent_by, self.consent_text, given_at, unix_time(self.consent_until))


class TrackSamples(Permissions, TrackReference):
    """Further pictures of somebody, from a live stream."""


class NewPersonOfTrack(NewPerson, TrackSamples):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "Ada Lovelace",
                    "consent_by": "Ada Lovelace, in writing",
                    "consent_text": "faces-2026-01",
                    "consent_until": "2027-12-31",
                    "stream": "door",
                    "track": 12,
                }
            ]
        },
    )


class NewName(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Text
