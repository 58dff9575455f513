// Privacy mode as far as this page does it: blurring what it draws of its own camera. All else the server blurs.

import { request } from "./signalling.js";

const BLOCKS = 4;
const few = document.createElement("canvas");

/** Blurs a part of what is drawn: nothing but the means of a few blocks is left of it. `from`: left, top, width and
 *  height in `picture`; `to`: the same where it was drawn on the context. */
export function blur(context, picture, from, to) {
  const longer = Math.max(from[2], from[3]);
  if (!(longer > 0)) return;
  few.width = Math.max(1, Math.round((BLOCKS * from[2]) / longer));
  few.height = Math.max(1, Math.round((BLOCKS * from[3]) / longer));
  const small = few.getContext("2d", { alpha: false });
  small.imageSmoothingQuality = "high";
  small.drawImage(picture, ...from, 0, 0, few.width, few.height);
  context.drawImage(few, ...to);
}

/** The part of a box (x1 y1 x2 y2) that lies in a picture of that size, as left, top, width and height. */
export function part([x1, y1, x2, y2], width, height) {
  const [left, top] = [Math.max(0, x1), Math.max(0, y1)];
  return [left, top, Math.min(width, x2) - left, Math.min(height, y2) - top];
}

/** Whether the server blurs whatever is asked for. True as long as that is not known. */
export async function isPrivateServer() {
  try {
    return (await (await request("/status", { cache: "no-store" })).json()).privacy !== false;
  } catch {
    return true;
  }
}
