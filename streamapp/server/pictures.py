"""Uploaded pictures, decoded: any JPEG, PNG or WebP to upright RGB."""

from __future__ import annotations

import io

import cv2
import numpy as np
import PIL.Image
from PIL.Image import Transpose

from streamapp.errors import PictureInvalid, PictureTooLarge
from streamapp.frame import Image
from streamapp.server.picture_files import PictureFile, PictureKind, read_picture_file

MAX_SIDE = 32_766
"""OpenCV keeps positions in 16 bits where it resamples."""
BACKGROUND = (128, 128, 128)
"""What shows through transparent parts. The middle of the range is what detectors take as nothing at all, where white
or black would add edges; and colours that nobody can see are not analysed."""
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def decode(data: bytes, max_pixels: int) -> Image:
    """The first picture of a file as RGB, the right way up. The array may be read-only.

    Colour profiles are not applied: detectors and recognisers were trained on pictures as stored. Blocks for up to a
    second, other threads go on meanwhile. Raises PictureUnsupported, PictureTooLarge before a pixel is decoded, and
    PictureInvalid.
    """
    file = read_picture_file(data)
    if file.width * file.height > max_pixels or max(file.width, file.height) > MAX_SIDE:
        raise PictureTooLarge(
            f"the picture has {file.width} x {file.height} pixels; at most {max_pixels} (server.max_image_pixels) and "
            f"{MAX_SIDE} a side are read"
        )
    opaque = _opaque(_opencv(file) if file.kind is PictureKind.WEBP else _pillow(file))
    method = _UPRIGHT.get(file.orientation)
    return np.asarray(opaque if method is None else opaque.transpose(method), np.uint8)


def _pillow(file: PictureFile) -> PIL.Image.Image:
    try:
        picture = PIL.Image.open(io.BytesIO(file.coded), formats=[file.kind.value])
        picture.load()
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow raises for broken files
        raise PictureInvalid(f"the {file.kind} picture cannot be decoded: it is cut off or broken") from error
    return picture


def _opencv(file: PictureFile) -> PIL.Image.Image:
    """Pillow decodes WebP without letting other threads run: half a second for a large picture."""
    try:
        pixels = cv2.imdecode(np.frombuffer(file.coded, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.shape[:2] != (file.height, file.width):
        raise PictureInvalid(f"the {file.kind} picture cannot be decoded: it is cut off or broken")
    to_rgb = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return PIL.Image.fromarray(np.asarray(cv2.cvtColor(pixels, to_rgb, dst=pixels), np.uint8))


def _opaque(picture: PIL.Image.Image) -> PIL.Image.Image:
    """8-bit RGB of any mode. CMYK is taken as Adobe's, inverted, as everybody writes it."""
    if picture.mode.startswith("I;16"):
        return PIL.Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if not picture.has_transparency_data:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    layer = picture.convert("RGBA")
    opaque = PIL.Image.new("RGB", layer.size, BACKGROUND)
    opaque.paste(layer, mask=layer)
    return opaque
