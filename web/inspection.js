// `window.streamapp`: what the page knows, for tests and for a look under the bonnet. Read only.

export function exposeState(viewer, { figures, stage, streams, player }) {
  window.streamapp = Object.freeze({
    /** A fresh copy on every look. */
    get state() {
      const { kind, name, phase, failure } = viewer;
      return structuredClone({
        kind,
        name,
        phase,
        failure: failure && { code: failure.code, title: failure.title, advice: failure.advice },
        figures: figures.snapshot(performance.now()),
        drawn: summary(stage.drawn),
        isPrivate: stage.isPrivate,
        heldPictures: stage.heldPictures,
        clockCorrectionMs: stage.correctionMs,
        streams: streams.items,
        player: player.shown && { ...playing(player.shown), paused: player.paused },
      });
    },

    /** What the canvas shows and the same picture without its boxes, as a PNG data URL; null if it is gone already. */
    look() {
      const picture = stage.picture();
      return picture && { picture, drawn: structuredClone(summary(stage.drawn)) };
    },

    /** What the player shows and the same picture without its boxes, as a PNG data URL; null if it shows nothing. */
    lookAtPlayer() {
      const { shown } = player;
      return shown && { picture: shown.picture(), drawn: structuredClone(playing(shown)) };
    },

    /** The statistics of the connection (RTCStatsReport entries). */
    async stats() {
      return [...((await viewer.session?.peer?.stats())?.values() ?? [])];
    },
  });
}

const playing = ({ part, mediaTime, result }) => ({ part, mediaTime, result });

function summary(drawn) {
  if (!drawn) return null;
  const { width, height, matched, residualMs, ageMs, lagMs, result } = drawn;
  return { width, height, matched, residualMs, ageMs, lagMs, result };
}
