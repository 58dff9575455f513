"""Why a face is called what it is called, in JSON: votes, thresholds, each model; names of those still there."""

from __future__ import annotations

import json
from uuid import UUID

from streamapp.gallery.identity_votes import IdentityVotes, decide
from streamapp.results import LivenessState
from streamapp.server.explanations import IdentityExplanation
from tests.gallery.test_identity_votes import ADA, ADA_SURE, GRACE, RULES


def test_everything_a_decision_rests_on_is_told() -> None:
    votes = IdentityVotes(RULES)
    for frame in range(3):
        votes.add(frame, frame / 10, 0.8, ADA_SURE)
    votes.add(4, 0.4, 0.01, ADA_SURE)
    votes.set_liveness(LivenessState.LIVE)
    told = json.loads(IdentityExplanation.of(decide({1: votes})[1], {ADA: "Ada"}.get).model_dump_json())
    assert (told["state"], told["because"], told["name"], told["person_id"]) == (
        *("identified", "alike", "Ada"),
        str(ADA),
    )
    first, second = told["candidates"]
    assert (first["name"], first["votes"], set(first["models"])) == ("Ada", 3, {"m"})
    assert (second["person_id"], second["name"]) == (str(GRACE), None)
    assert [vote["frame"] for vote in told["votes"]] == [0, 1, 2]
    assert all(UUID(person) in (ADA, GRACE) for vote in told["votes"] for person in vote["levels"])
    assert told["skipped"] == [{"frame": 4, "pts_s": 0.4, "quality": 0.01, "reason": "low_quality"}]
    limits = told["thresholds"]
    assert limits["unknown"] < limits["keep"] < limits["accept"] <= told["level"]
    assert told["margin"] >= limits["margin"]
    assert told["attempts"] == 4
