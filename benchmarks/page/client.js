// One client for every server measured. It logs, in milliseconds of performance.now(): when the camera took each
// numbered picture, when each returned picture is displayed, and when each message arrives. It judges nothing.

const BLOCKS = 16; // see benchmarks/camera.py
const BAND = 1 / 10;
const log = { camera: [], shown: [], messages: [], unread: 0 };
let recording = false;
let pc;
let channel;

/** Opens the camera, logs its pictures and returns an SDP offer. */
async function offer({ width, height, fps, label, receiveVideo }) {
  const constraints = { width: { exact: width }, height: { exact: height }, frameRate: { ideal: fps } };
  const stream = await navigator.mediaDevices.getUserMedia({ video: constraints });
  const local = document.getElementById("local");
  local.srcObject = stream;
  // capture time, not display time: the preview may show a picture later than the server has returned it
  watch(local, (number, now, { captureTime }) => log.camera.push([number, captureTime ?? null]));

  pc = new RTCPeerConnection({ iceServers: [] });
  channel = pc.createDataChannel(label, { ordered: false, maxRetransmits: 0 });
  channel.onmessage = ({ data }) => {
    const arrived = performance.now();
    if (recording) log.messages.push([arrived, data]);
  };
  const [track] = stream.getVideoTracks();
  const transceiver = pc.addTransceiver(track, { direction: receiveVideo ? "sendrecv" : "sendonly", streams: [stream] });
  const { codecs } = RTCRtpSender.getCapabilities("video");
  transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => mimeType === "video/VP8"));
  pc.ontrack = ({ track: returned }) => {
    const remote = document.getElementById("remote");
    remote.srcObject = new MediaStream([returned]);
    watch(remote, (number, now, { expectedDisplayTime }) => recording && log.shown.push([number, expectedDisplayTime]));
  };
  await pc.setLocalDescription();
  while (pc.iceGatheringState !== "complete") await new Promise((done) => setTimeout(done, 20));
  return pc.localDescription.sdp;
}

/** Takes the answer and returns once media can flow. */
async function connect(answer) {
  await pc.setRemoteDescription({ type: "answer", sdp: answer });
  while (pc.connectionState !== "connected") {
    if (pc.connectionState === "failed") throw new Error("ICE failed");
    await new Promise((done) => setTimeout(done, 20));
  }
  for (const sender of pc.getSenders()) {
    if (sender.track?.kind !== "video") continue;
    const parameters = sender.getParameters();
    parameters.degradationPreference = "maintain-resolution"; // otherwise Chromium sends 720p at half size
    await sender.setParameters(parameters);
  }
}

function begin() {
  log.unread = 0;
  recording = true;
}

async function end() {
  recording = false;
  let sent = null;
  let received = null;
  let roundTripMs = null;
  for (const report of (await pc.getStats()).values()) {
    if (report.type === "outbound-rtp" && report.kind === "video") sent = report;
    if (report.type === "inbound-rtp" && report.kind === "video") received = report;
    if (report.type === "candidate-pair" && report.nominated && report.responsesReceived)
      roundTripMs = (1000 * report.totalRoundTripTime) / report.responsesReceived;
  }
  return {
    ...log,
    timeOrigin: performance.timeOrigin,
    sent: sent && [sent.frameWidth, sent.frameHeight, sent.framesPerSecond ?? 0],
    roundTripMs,
    jitterBufferMs: received?.jitterBufferEmittedCount
      ? (1000 * received.jitterBufferDelay) / received.jitterBufferEmittedCount
      : null,
  };
}

/** Calls `take(number, now, metadata)` for every picture that a video element presents. */
function watch(video, take) {
  const canvas = new OffscreenCanvas(BLOCKS, 1);
  const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
  const look = (now, metadata) => {
    video.requestVideoFrameCallback(look);
    const { videoWidth: width, videoHeight: height } = video;
    context.drawImage(video, 0, 0, width, height * BAND, 0, 0, BLOCKS, 1);
    const { data } = context.getImageData(0, 0, BLOCKS, 1);
    const on = Array.from({ length: BLOCKS }, (_, block) => data[4 * block] > 128);
    let number = 0;
    for (let bit = 0; bit < BLOCKS / 2; bit++) {
      if (on[bit] === on[bit + BLOCKS / 2]) number = NaN;
      else if (on[bit]) number += 1 << bit;
    }
    if (Number.isNaN(number)) log.unread += 1;
    else take(number, now, metadata);
  };
  video.requestVideoFrameCallback(look);
}
