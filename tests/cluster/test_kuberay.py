"""deploy/kuberay.yaml says what this version understands."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from streamapp.cluster import ray_node
from streamapp.settings import Settings
from tests.server_process import ROOT


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "kuberay.yaml").read_text())
    assert (document["apiVersion"], document["kind"]) == ("ray.io/v1", "RayCluster")
    found: dict[str, Any] = document["spec"]
    return found


def groups(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


def test_every_group_offers_what_the_scheduler_asks_for(spec: dict[str, Any]) -> None:
    offered = [json.loads(json.loads(group["rayStartParams"]["resources"])) for group in groups(spec)]
    assert all(offers.keys() == {ray_node.DEVICE, ray_node.PLACE} for offers in offered)
    assert all(offers[ray_node.PLACE] > 0 and offers[ray_node.DEVICE] > 0 for offers in offered[1:])


def test_nobody_gets_in_or_is_told_without_being_asked(spec: dict[str, Any]) -> None:
    assert spec["authOptions"] == {"mode": "token"}
    for group in groups(spec):
        assert group["rayStartParams"]["disable-usage-stats"] == "true"
        pod = group["template"]["spec"]
        told = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        names = ("RAY_USAGE_STATS_ENABLED", "RAY_USAGE_STATS_REPORT_URL")
        assert {name: told[name] for name in names} == {name: ray_node.QUIET[name] for name in names}
        assert pod["securityContext"]["runAsNonRoot"] is True


def test_the_settings_exist(spec: dict[str, Any]) -> None:
    for group in groups(spec):
        for container in group["template"]["spec"]["containers"]:
            for name in (one["name"] for one in container["env"] if one["name"].startswith("STREAMAPP_")):
                section, field = name.removeprefix("STREAMAPP_").lower().split("__")
                assert field in type(getattr(Settings(), section)).model_fields, name
