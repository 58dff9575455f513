// The camera: opening it, the list of cameras, and why it cannot be opened.

import { cameraFailure, explainCameraError } from "./failures.js";

export const RESOLUTIONS = Object.freeze([
  { id: "640x480", label: "640 × 480", width: 640, height: 480 },
  { id: "1280x720", label: "1280 × 720 (HD)", width: 1280, height: 720 },
  { id: "1920x1080", label: "1920 × 1080 (Full HD)", width: 1920, height: 1080 },
]);

const FRAME_RATE = 30;

/** Opens a camera and returns its MediaStream. Throws Failure. */
export async function openCamera({ deviceId, resolutionId }) {
  if (!window.isSecureContext) throw cameraFailure("insecure_page");
  if (!navigator.mediaDevices?.getUserMedia) throw cameraFailure("unsupported");
  const { width, height } = RESOLUTIONS.find((choice) => choice.id === resolutionId) ?? RESOLUTIONS[0];
  const video = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: FRAME_RATE } };
  if (deviceId) video.deviceId = { exact: deviceId };
  else video.facingMode = "user";
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    throw explainCameraError(error);
  }
}

export function closeCamera(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** [{deviceId, label}]; names are known only once a camera was allowed. */
export async function listCameras() {
  if (!navigator.mediaDevices?.enumerateDevices) return [];
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices
    .filter((device) => device.kind === "videoinput" && device.deviceId)
    .map((device, index) => ({ deviceId: device.deviceId, label: device.label || `Camera ${index + 1}` }));
}
