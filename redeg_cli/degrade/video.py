"""Video compression: H.264, MPEG-2 and MPEG-4 (DivX, Xvid), by FFmpeg's own encoders.

A picture taken from a video is seldom coded by itself: it is predicted from frames before and
after it, block by block, with the residue quantised. So the image is filmed: a short clip in which
it moves is encoded, and the frame in the middle is taken.

Needs the package ``av`` (PyAV), which is optional.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field, model_validator

from redeg_cli.degrade.base import Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.codec import through_codec
from redeg_cli.errors import RedegError

VideoCodec = Literal["h264", "mpeg2", "mpeg4"]
_CODECS: dict[VideoCodec, tuple[str, str, int]] = {
    "h264": ("libx264", "h264", 51),
    "mpeg2": ("mpeg2video", "mpeg2video", 31),
    "mpeg4": ("mpeg4", "mpeg4", 31),
}
"""FFmpeg's encoder and decoder, and the largest ``quality``."""
_EXACT = {"flags": "+bitexact", "idct": "simple"}
"""The MPEG codecs leave the inverse DCT to the machine unless told; H.264 is exact by itself."""

# BT.601 RGB in 0..255 -> Y in 16..235, Cb and Cr in 16..240, as rows with the offset at their end.
_TO_YUV = np.array(
    [
        [65.481 / 255, 128.553 / 255, 24.966 / 255, 16],
        [-37.797 / 255, -74.203 / 255, 112.0 / 255, 128],
        [112.0 / 255, -93.786 / 255, -18.214 / 255, 128],
    ]
)
_TO_RGB = np.linalg.inv(np.vstack([_TO_YUV, [0, 0, 0, 1]]))[:3]

Pixels = tuple[
    Annotated[float, Field(ge=-16, le=16)],
    Annotated[float, Field(ge=-16, le=16)],
]


class Video(Step):
    """One frame of a compressed clip."""

    codec: VideoCodec
    quality: Annotated[int, Field(ge=1, le=51)]
    """In the codec's own unit, 1 the best: CRF in 1..51 for h264 (18 is good, 23 usual, 35 bad);
    quantiser in 1..31 for mpeg2 and mpeg4 (DVD 2 to 8, Video CD and DivX up to 16)."""
    frames: Annotated[int, Field(ge=1, le=5)] = 3
    """Length of the clip. The frame ``frames // 2``, counted from 0, is taken: it is coded by
    itself if it is the only one, predicted from the one before it if there are 2, and from both
    sides in longer clips (by h264 where it thinks that better)."""
    motion: Pixels = (0.0, 0.0)
    """How far the picture moves to the right and down from frame to frame, in pixels."""

    @model_validator(mode="after")
    def _quality_fits(self) -> "Video":
        largest = _CODECS[self.codec][2]
        if self.quality > largest:
            raise ValueError(f"quality {self.quality} of {self.codec}: want 1 to {largest}")
        return self


def filmed(rgb: np.ndarray, step: Video) -> np.ndarray:
    """Return the uint8 image (h, w, 3) as the middle frame of a compressed clip shows it.

    The sides are filled up to multiples of 16 by repeating the last pixels, and cut again. The
    clip is 4:2:0 in BT.601, with chroma averaged over 2x2 pixels and bilinear on return. Raises
    RedegError if PyAV or its encoder is missing.
    """
    height, width = rgb.shape[:2]
    padded = cv2.copyMakeBorder(rgb, 0, -height % 16, 0, -width % 16, cv2.BORDER_REPLICATE)
    clip = []
    for frame in range(step.frames):
        right, down = (distance * (frame - step.frames // 2) for distance in step.motion)
        moved = padded
        if right or down:
            matrix = np.array([[1, 0, right], [0, 1, down]])
            size = (padded.shape[1], padded.shape[0])
            border = cv2.BORDER_REPLICATE
            moved = cv2.warpAffine(padded, matrix, size, None, cv2.INTER_CUBIC, border)
        clip.append(_to_yuv(moved))
    decoded = coded_clip(clip, step.codec, step.quality)[step.frames // 2]
    return _to_rgb(decoded)[:height, :width]


def coded_clip(clip: Sequence[np.ndarray], codec: VideoCodec, quality: int) -> list[np.ndarray]:
    """Return the frames of a clip after encoding and decoding.

    Frames are uint8 (h * 3 / 2, w): the planes of yuv420p one below the other, h and w multiples
    of 16. One thread and bit-exact arithmetic: the same frames each time, on every machine with
    the same FFmpeg and x264. Raises RedegError if PyAV or its encoder is missing, and for frames
    that the codec does not take.
    """
    try:
        import av
        from av.codec.codec import UnknownCodecError
        from av.error import FFmpegError
    except ImportError as error:
        message = "op video needs the package av: pip install 'redeg[video]' (or pip install av)"
        raise RedegError(message) from error
    names = _CODECS[codec]
    try:
        encoder = av.CodecContext.create(names[0], "w")
        decoder = av.CodecContext.create(names[1], "r")
    except UnknownCodecError as error:
        message = f"the package av here has no {error}, which codec {codec} needs"
        raise RedegError(f"{message}: install the wheel of PyPI (pip install av)") from error
    assert isinstance(encoder, av.VideoCodecContext)
    assert isinstance(decoder, av.VideoCodecContext)
    encoder.width, encoder.height = clip[0].shape[1], clip[0].shape[0] * 2 // 3
    encoder.pix_fmt = "yuv420p"
    encoder.framerate = Fraction(25)
    encoder.time_base = Fraction(1, 25)
    encoder.thread_count = decoder.thread_count = 1
    if codec == "h264":
        # With mbtree the bytes differ from run to run: 18 results in 150 runs for 80x64 pixels
        # (x264 of PyAV 18.1). It spreads bits over the seconds that follow; a clip has none.
        encoder.options = {"crf": str(quality), "preset": "medium", "mbtree": "0"}
    else:
        # One quantiser for all frames; groups of pictures as on a DVD: IBBPBBP...
        fixed = {"qmin": str(quality), "qmax": str(quality), "g": "12", "bf": "2"}
        encoder.options = {**fixed, **_EXACT}
        decoder.options = _EXACT
    frames = []
    try:
        for time, planes in enumerate(clip):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = time
            for packet in encoder.encode(frame):
                frames += decoder.decode(packet)
        for packet in encoder.encode(None):
            frames += decoder.decode(packet)
        frames += decoder.decode(None)
    except FFmpegError as error:
        # MPEG-4 holds sides of 8191 px, the others of 16,383.
        size = f"{encoder.width}x{encoder.height}"
        message = f"codec {codec} takes no frames of {size} px: cut the image, or shrink it first"
        raise RedegError(message) from error
    return [frame.to_ndarray() for frame in frames]


def apply_video(canvas: Canvas, steps: Sequence[Video]) -> Canvas:
    """Compress each image of the canvas as a clip of its own."""
    return through_codec(canvas, filmed, steps)


def _to_yuv(rgb: np.ndarray) -> np.ndarray:
    """Return the planes of yuv420p one below the other, from uint8 RGB with even sides."""
    height, width = rgb.shape[:2]
    y, *cbcr = cv2.split(cv2.transform(rgb.astype(np.float32), _TO_YUV))
    half = (width // 2, height // 2)
    chroma = [cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in cbcr]
    planes = np.concatenate([plane.ravel() for plane in (y, *chroma)])
    return planes.round().astype(np.uint8).reshape(height * 3 // 2, width)


def _to_rgb(planes: np.ndarray) -> np.ndarray:
    """Return uint8 RGB from the planes of yuv420p one below the other."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    cbcr = planes[height:].reshape(2, height // 2, width // 2).astype(np.float32)
    full = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in cbcr]
    rgb = cv2.transform(cv2.merge([planes[:height].astype(np.float32), *full]), _TO_RGB)
    return rgb.round().clip(0, 255).astype(np.uint8)
