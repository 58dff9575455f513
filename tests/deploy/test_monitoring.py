"""Alert rules and the dashboard against the server's own metrics, and against Prometheus where it is installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from promql_parser import Matcher, MatchOp, MatrixSelector, VectorSelector

from streamapp.event_settings import EventSettings
from tests.deploy.compose import DEPLOY
from tests.server.conftest import StartBench
from tests.waiting import until

FROM_PROMETHEUS = {"up"}
ADDED_BY_PROMETHEUS = {"instance", "job"}
RULES: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "streamapp.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]


def queries() -> Iterator[str]:
    """Every PromQL expression, with the values of Grafana's variables."""
    yield from (rule["expr"] for rule in RULES)
    expressions = [target["expr"] for panel in PANELS for target in panel.get("targets", [])]
    expressions += [entry["expr"] for entry in DASHBOARD["annotations"]["list"]]
    yield from (text.replace("$__rate_interval", "30s").replace("$instance", ".*") for text in expressions)


QUERIES = list(queries())


def selectors(query: str) -> list[VectorSelector]:
    """What a query selects. Raises ValueError if it is no PromQL."""
    found: list[VectorSelector] = []

    def visit(expression: object) -> None:
        if isinstance(expression, MatrixSelector):
            found.append(expression.vector_selector)
        elif isinstance(expression, VectorSelector):
            found.append(expression)

    promql_parser.walk(promql_parser.parse(query), visit)
    return found


def fits(matcher: Matcher, value: str) -> bool:
    match = re.fullmatch(matcher.value, value) if matcher.op in (MatchOp.Re, MatchOp.NotRe) else matcher.value == value
    return bool(match) is (matcher.op in (MatchOp.Equal, MatchOp.Re))


async def live_metrics(start_bench: StartBench, folder: Path) -> dict[str, Metric]:
    """The families of a server with a stream, by the names of their samples. `folder`: for its events."""
    async with start_bench(events=EventSettings(file=folder / "events.db")) as bench:
        session = bench.add_numbered()
        await until(lambda: session.latest)
        text = (await bench.http.get("/metrics")).text
    families = list(text_string_to_metric_families(text))
    return {f"{family.name}_total" if family.type == "counter" else family.name: family for family in families}


async def test_every_query_is_promql_over_metrics_that_exist(start_bench: StartBench, tmp_path: Path) -> None:
    live = await live_metrics(start_bench, tmp_path)
    for query in QUERIES:
        assert selectors(query)
        for selector in selectors(query):
            assert selector.name in live.keys() | FROM_PROMETHEUS, f"{selector.name} does not exist: {query}"
            samples = live[selector.name].samples if selector.name in live else []
            for matcher in selector.matchers.matchers:
                if matcher.name not in ADDED_BY_PROMETHEUS and samples:
                    values = [sample.labels.get(matcher.name, "") for sample in samples]
                    assert any(fits(matcher, value) for value in values), f"{matcher.name}: {query}"


async def test_every_metric_is_looked_at(start_bench: StartBench, tmp_path: Path) -> None:
    looked_at = {selector.name for query in QUERIES for selector in selectors(query)}
    assert set(await live_metrics(start_bench, tmp_path)) <= looked_at


def test_panels_have_places_of_their_own_and_a_title() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {
            (place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])
        }  # 24 columns wide
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["title"]
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_the_dashboard_asks_the_source_that_is_set_up() -> None:
    folder = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())["datasources"]
    used = {target["datasource"]["uid"] for panel in PANELS for target in panel.get("targets", [])}
    assert used == {source["uid"]}
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose
    (provider,) = yaml.safe_load((folder / "dashboards" / "streamapp.yaml").read_text())["providers"]
    mounted = [volume.split(":")[1] for volume in compose["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounted


def test_every_alert_says_what_is_wrong_and_where_to_look() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}


@pytest.mark.parametrize("word", ["check rules alerts.yml", "test rules alerts_test.yml"])
def test_prometheus_agrees(word: str) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("no promtool here (Debian: apt-get install prometheus)")
    done = subprocess.run(
        [program, *word.split()], cwd=DEPLOY / "prometheus", capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried_by_the_rules_tests() -> None:
    text = (DEPLOY / "prometheus" / "alerts_test.yml").read_text()
    assert [rule["alert"] for rule in RULES if rule["alert"] not in text] == []
