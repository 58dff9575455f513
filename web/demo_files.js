// The pickers of the demo page: a file, a look of the webcam or an example. A file goes to the server as it is; what
// comes back, a token, is put into the tab's hidden field, and Gradio sends that on.

import { closeCamera, openCamera } from "./camera.js";
import { explain } from "./failures.js";

const UPLOAD_TYPE = "application/octet-stream";
const SNAPSHOT_TYPE = "image/png";

const pickerOf = (element) => element.closest?.(".demo-picker") ?? null;

document.addEventListener("change", (event) => {
  const picker = pickerOf(event.target);
  const [file] = (picker && event.target.type === "file" && event.target.files) || [];
  if (!file) return;
  upload(picker, file, file.name);
  event.target.value = ""; // the same file may be chosen again
});

document.addEventListener("click", (event) => {
  const picker = pickerOf(event.target);
  const button = picker && event.target.closest("button");
  if (!button) return;
  if (button.dataset.token) chooseExample(picker, button);
  else if ("snapshot" in button.dataset) openSnapshot(picker);
  else if ("snap" in button.dataset) takeSnapshot(picker);
  else if ("snapCancel" in button.dataset) closeSnapshot(picker);
});

window.addEventListener("pagehide", () => document.querySelectorAll(".demo-picker").forEach(closeSnapshot));

function chooseExample(picker, button) {
  closeSnapshot(picker);
  mark(picker, button);
  preview(picker, null);
  say(picker, `Example: ${button.textContent.trim()}`);
  hand(picker, button.dataset.token);
}

/** Sends a file and says how far it is. A later choice takes the place of one under way. */
function upload(picker, file, name) {
  picker.request?.abort();
  mark(picker, null);
  preview(picker, picker.dataset.kind === "picture" ? file : null);
  hand(picker, "");
  const request = new XMLHttpRequest(); // fetch does not tell how much was sent
  picker.request = request;
  request.open("POST", `/demo/files/${picker.dataset.kind}`);
  request.setRequestHeader("Content-Type", UPLOAD_TYPE);
  request.responseType = "json";
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    say(picker, `Sending ${name}: ${Math.floor((100 * loaded) / Math.max(1, total))} %`);
  });
  request.addEventListener("load", () => {
    if (request.status === 201) {
      say(picker, `Ready: ${name}`);
      hand(picker, request.response.token);
    } else {
      say(picker, `The server refused: ${request.response?.detail ?? `status ${request.status}`}`);
    }
  });
  request.addEventListener("error", () => say(picker, "The server does not answer"));
  say(picker, `Sending ${name}`);
  request.send(file);
}

async function openSnapshot(picker) {
  closeSnapshot(picker);
  try {
    const camera = await openCamera({ deviceId: "", resolutionId: "1280x720" });
    picker.camera = camera;
    const video = picker.querySelector("video");
    video.srcObject = camera;
    picker.querySelector(".demo-snapshot").hidden = false;
    await video.play();
  } catch (error) {
    const { title, advice } = explain(error);
    say(picker, `${title}. ${advice}`);
  }
}

function takeSnapshot(picker) {
  const video = picker.querySelector("video");
  if (!video.videoWidth) return;
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => blob && upload(picker, blob, "the webcam's picture"), SNAPSHOT_TYPE);
  closeSnapshot(picker);
}

function closeSnapshot(picker) {
  const box = picker.querySelector(".demo-snapshot");
  if (!box) return;
  closeCamera(picker.camera);
  picker.camera = null;
  box.querySelector("video").srcObject = null;
  box.hidden = true;
}

function preview(picker, file) {
  const image = picker.querySelector(".demo-preview");
  if (!image) return;
  if (image.src) URL.revokeObjectURL(image.src);
  image.hidden = !file;
  if (file) image.src = URL.createObjectURL(file);
  else image.removeAttribute("src");
}

function mark(picker, chosen) {
  for (const button of picker.querySelectorAll(".demo-example")) {
    button.setAttribute("aria-pressed", String(button === chosen));
  }
}

function say(picker, text) {
  picker.querySelector("[data-status]").textContent = text;
}

/** Puts the token where Gradio sees it, as if it had been typed. */
function hand(picker, token) {
  const field = document.querySelector(`#${picker.dataset.target} :is(input, textarea)`);
  field.value = token;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}
