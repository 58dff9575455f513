"""Pictures and results brought together by the page's stage: grey pictures by number, scripted results."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser import run_module

pytestmark = pytest.mark.e2e

HARNESS = """
  const canvas = document.createElement('canvas');
  canvas.style.cssText = 'display: block; width: 320px; height: 240px';
  document.body.replaceChildren(canvas);
  const video = document.createElement('canvas');
  Object.assign(video, { width: 320, height: 240, videoWidth: 320, videoHeight: 240, play: async () => {} });
  let waiting = null;
  Object.assign(video, { requestVideoFrameCallback: (f) => (waiting = f), cancelVideoFrameCallback: () => {} });
  const drawn = [];
  const note = (d) => drawn.push({ frame: d.result.frame, grey: greyOf(d.slot), matched: d.matched, lagMs: d.lagMs });
  const greyOf = (slot) => slot.context.getImageData(5, 5, 1, 1).data[0];
  const stage = new m.Stage({ video, canvas, onPicture() {}, onSize() {}, onDrawn: note });
  stage.show({});
  const turn = () => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
  let presented = 0;
  /** Shows picture `n`, all grey of level 10 n. */
  const picture = async (n, metadata) => {
    const paint = video.getContext('2d');
    paint.fillStyle = `rgb(${10 * n} ${10 * n} ${10 * n})`;
    paint.fillRect(0, 0, 320, 240);
    const show = waiting;
    show(performance.now(), { presentedFrames: (presented += 1), ...metadata });
    await turn();
  };
  const track = (state) => ({ id: 1, box: [80, 60, 240, 180], score: 0.9, state, keypoints: null, landmarks: null });
  const result = async (frame, times, tracks = []) => {
    const capturedAt = (performance.timeOrigin + times.captureMs) / 1000;
    const size = { width: 320, height: 240 };
    stage.addResult({ frame, captured_at: capturedAt, tracks, ...size, ...times }, performance.now());
    await turn();
  };
  const startMs = performance.now() - 300; // results cannot come before their pictures were taken
  const at = (n) => startMs + n * 33;
"""


def test_a_result_brings_back_the_picture_it_is_about(blank_page: Page) -> None:
    body = """
      for (let n = 1; n <= 5; n += 1) await picture(n, { captureTime: at(n) });
      await result(0, { captureMs: at(3) + 1.5 });
      await result(1, { captureMs: at(4) - 1.5 });
      return drawn;
    """
    first, second = run_module(blank_page, "stage.js", HARNESS + body)
    assert first == {"frame": 0, "grey": 30, "matched": True, "lagMs": 0}
    assert second == {"frame": 1, "grey": 40, "matched": True, "lagMs": 0}


def test_a_result_that_is_early_waits_for_its_picture(blank_page: Page) -> None:
    body = """
      await picture(1, { captureTime: at(1) });
      await result(0, { captureMs: at(2) });
      const before = drawn.length;
      await picture(2, { captureTime: at(2) });
      return [before, drawn];
    """
    before, drawn = run_module(blank_page, "stage.js", HARNESS + body)
    assert before == 0
    assert drawn == [{"frame": 0, "grey": 20, "matched": True, "lagMs": 0}]


def test_a_result_whose_picture_is_long_gone_is_drawn_on_the_newest_and_its_age_is_known(blank_page: Page) -> None:
    body = """
      await picture(1, { captureTime: at(1) });
      await picture(2, { captureTime: at(2) });
      await result(0, { captureMs: at(1) - 400 });
      return drawn;
    """
    (late,) = run_module(blank_page, "stage.js", HARNESS + body)
    assert late["grey"] == 20
    assert late["matched"] is False
    assert late["lagMs"] > 400


def test_an_older_result_never_replaces_a_newer_one(blank_page: Page) -> None:
    body = """
      for (let n = 1; n <= 4; n += 1) await picture(n, { captureTime: at(n) });
      await result(7, { captureMs: at(3) });
      await result(6, { captureMs: at(2) });
      return drawn.map(({ frame }) => frame);
    """
    assert run_module(blank_page, "stage.js", HARNESS + body) == [7]


def test_a_played_stream_is_matched_by_rtp_timestamp_one_tick_off_and_over_the_wrap(blank_page: Page) -> None:
    body = """
      const rtp = (n) => (4294967296 - 6000 + n * 3000) % 4294967296;
      for (let n = 1; n <= 5; n += 1) await picture(n, { rtpTimestamp: rtp(n) - (n === 3 ? 1 : 0) });
      await result(0, { captureMs: 0, rtp_timestamp: rtp(1) });
      await result(1, { captureMs: 0, rtp_timestamp: rtp(3) });
      await result(2, { captureMs: 0, rtp_timestamp: rtp(6) });
      const before = drawn.length;
      await picture(6, { rtpTimestamp: rtp(6) });
      return [before, drawn.map(({ grey, matched }) => [grey, matched])];
    """
    before, drawn = run_module(blank_page, "stage.js", HARNESS + body)
    assert before == 2
    assert drawn == [[10, True], [30, True], [60, True]]


def test_while_no_results_come_the_picture_goes_on_and_old_boxes_go_away(blank_page: Page) -> None:
    body = """
      await picture(1, { captureTime: at(1) });
      await result(0, { captureMs: at(1) }, [track('confirmed')]);
      const boxed = edge();
      await new Promise((go) => setTimeout(go, 300));
      await picture(2, { captureTime: performance.now() });
      const faded = [edge(), stage.drawn.lagMs];
      await new Promise((go) => setTimeout(go, 1400));
      await picture(3, { captureTime: performance.now() });
      return [boxed, faded, edge(), canvas.getContext('2d').getImageData(9, 9, 1, 1).data[0]];
    """
    edge = "const edge = () => Math.max(...canvas.getContext('2d').getImageData(160, 60, 1, 1).data.slice(0, 3));"
    boxed, (faded, lag_ms), gone, level = run_module(blank_page, "stage.js", HARNESS + edge + body)
    assert boxed > 200
    assert 30 < faded < boxed
    assert lag_ms > 250
    assert gone == level == 30


@pytest.mark.parametrize(("state", "gaps"), [("confirmed", False), ("coasting", True)])
def test_a_face_that_is_not_seen_has_a_dashed_box(blank_page: Page, state: str, gaps: bool) -> None:
    body = f"""
      await picture(1, {{ captureTime: at(1) }});
      await result(0, {{ captureMs: at(1) }}, [track('{state}')]);
      const line = canvas.getContext('2d').getImageData(150, 180, 80, 1).data;
      return [...line].filter((_, i) => i % 4 === 1);
    """
    greens = run_module(blank_page, "stage.js", HARNESS + body)
    assert max(greens) > 200
    assert (min(greens) < 100) is gaps
