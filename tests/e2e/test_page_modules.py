"""The page's pure modules, run where they belong: in the browser. No server is needed."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser import run_module as run

pytestmark = pytest.mark.e2e


def test_clocks_that_agree_need_no_correction(blank_page: Page) -> None:
    body = """
      const clock = new m.CaptureClock(1_700_000_000_000);
      for (let i = 0; i < 200; i += 1) clock.observeArrival(1_700_000_000 + i / 30, (i * 1000) / 30 + 20 + (i % 7));
      return [clock.toPage(1_700_000_010), clock.correctionMs];
    """
    assert run(blank_page, "clock.js", body) == [10_000, 0]


@pytest.mark.parametrize("step_s", [-3600, -2, 3600])
def test_a_clock_that_was_set_is_found_from_the_least_delay(blank_page: Page, step_s: int) -> None:
    """The server's times are `step_s` off; the quickest result took 20 ms."""
    body = f"""
      const clock = new m.CaptureClock(1_700_000_000_000);
      for (let i = 0; i < 200; i += 1)
        clock.observeArrival(1_700_000_000 - {step_s} + i / 30, (i * 1000) / 30 + 20 + 40 * (i % 5));
      return clock.toPage(1_700_000_010 - {step_s});
    """
    assert run(blank_page, "clock.js", body) == pytest.approx(10_016, abs=0.5)


def test_a_steady_residual_is_taken_off_and_a_restless_one_is_not(blank_page: Page) -> None:
    body = """
      const [steady, restless] = [new m.CaptureClock(0), new m.CaptureClock(0)];
      for (let i = 0; i < 40; i += 1) {
        steady.observeResidual(7 + 0.5 * (i % 3));
        restless.observeResidual(7 + 4 * (i % 3));
      }
      return [steady.fineMs, restless.fineMs];
    """
    assert run(blank_page, "clock.js", body) == [-7.5, 0]


def test_percentiles_are_over_every_sample_of_the_window(blank_page: Page) -> None:
    body = """
      const samples = new m.Samples(1000);
      const seen = [samples.percentile(0.5)];
      for (let i = 1; i <= 100; i += 1) samples.add(i, i);
      seen.push(samples.percentile(0.5), samples.percentile(0.95), samples.percentile(1), samples.count);
      samples.trim(1050);
      seen.push(samples.count, samples.percentile(0));
      return seen;
    """
    assert run(blank_page, "metrics.js", body) == [None, 50, 95, 100, 100, 51, 50]


def test_a_rate_counts_over_its_window_and_forgets(blank_page: Page) -> None:
    body = """
      const rate = new m.Rate(1000);
      const seen = [rate.perSecond(0)];
      for (let i = 0; i <= 30; i += 1) rate.add((i * 1000) / 30);
      seen.push(Math.round(rate.perSecond(1000)), rate.perSecond(3000));
      return seen;
    """
    assert run(blank_page, "metrics.js", body) == [None, 30, None]


def test_ice_servers_are_read_from_link_headers(blank_page: Page) -> None:
    header = (
        '<stun:stun.example.net>; rel="ice-server", '
        '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="user"; '
        'credential="my \\"pass\\", word"; credential-type="password", </next>; rel="next"'
    )
    assert run(blank_page, "signalling.js", f"return m.parseIceLinks({header!r});") == [
        {"urls": "stun:stun.example.net"},
        {"urls": "turn:turn.example.net?transport=udp", "username": "user", "credential": 'my "pass", word'},
    ]


def test_pictures_are_kept_in_a_ring_and_found_again(blank_page: Page) -> None:
    body = """
      const video = document.createElement('canvas');
      Object.assign(video, { width: 64, height: 48, videoWidth: 64, videoHeight: 48 });
      const ring = new m.FrameRing(4);
      const seen = [ring.newest(), ring.nearest(0)];
      for (let i = 0; i < 10; i += 1)
        ring.push(video, { captureMs: i * 33, rtpTimestamp: i * 3000, seenMs: i * 33 + 5 });
      seen.push(ring.size, ring.newest().captureMs, ring.nearest(0).captureMs, ring.nearest(240).captureMs);
      seen.push(ring.withRtpTimestamp(24001).captureMs, ring.withRtpTimestamp(3000));
      ring.clear();
      seen.push(ring.size, ring.newest());
      return seen;
    """
    assert run(blank_page, "frames.js", body) == [None, None, 4, 297, 198, 231, 264, None, 0, None]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("NotAllowedError", "camera_denied"),
        ("NotFoundError", "camera_missing"),
        ("NotReadableError", "camera_busy"),
        ("OverconstrainedError", "camera_unfit"),
    ],
)
def test_every_camera_error_has_a_cause_and_a_cure(blank_page: Page, name: str, code: str) -> None:
    body = f"const f = m.explainCameraError(new DOMException('x', '{name}')); return [f.code, f.title, f.advice];"
    found, title, advice = run(blank_page, "failures.js", body)
    assert found == code
    assert title
    assert advice


def test_refusals_say_whether_waiting_helps(blank_page: Page) -> None:
    body = """
      const full = m.serverRefused(503, 'overloaded', 'all 8 sessions are in use', 10);
      const unsupported = m.serverRefused(422, null, null, null);
      return [full, unsupported].map(({ code, retry, retryAfterS, advice }) => [code, retry, retryAfterS, advice]);
    """
    full, unsupported = run(blank_page, "failures.js", body)
    assert full == ["overloaded", True, 10, "All 8 sessions are in use"]
    assert unsupported == ["refused", False, None, "It answered with status 422."]


def test_the_caption_says_what_is_known_and_never_a_verdict_on_deepfakes(blank_page: Page) -> None:
    body = """
      const liveness = { state: 'live' }, gender_age = { gender: 'female', age_years: 31.6 };
      const all = { identity: { name: 'unknown' }, liveness, gender_age, deepfake: { band: 'high' } };
      return [{}, undefined, { liveness: { state: 'undecided' } }, all].map((known) => m.captionOf(known));
    """
    assert run(blank_page, "captions.js", body) == ["", "", "live?", "unknown · live · F ~32 · fake high"]


def test_recorded_results_are_found_by_the_time_of_their_picture(blank_page: Page) -> None:
    body = """
      const results = new m.RecordedResults();
      const lines = [JSON.stringify({ recording: {} })];
      for (const frame of [3, 4, 6]) lines.push(JSON.stringify({ stream: "a", frame, pts_s: frame / 30 }));
      await results.read(new Response(lines.join("\\n") + '\\n{"half'));
      const at = (frame, offS = 0) => results.at(frame / 30 + offS)?.frame ?? null;
      const next = (frame, direction) => Math.round(30 * (results.next(frame / 30, direction) ?? -1));
      return [results.count, at(3), at(4, 0.002), at(4, -0.002), at(5), at(4, 0.02), at(2), at(7),
        next(3, 1), next(4, 1), next(6, 1), next(6, -1), next(3, -1), next(5, -1)];
    """
    found = run(blank_page, "recorded_results.js", body)
    assert found == [3, 3, 4, 4, None, None, None, None, 4, 6, -30, 4, -30, 4]
