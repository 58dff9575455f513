"""Real-time face analysis of live video: WebRTC, RTSP and recordings in, understood faces out."""

__version__ = "0.1.0"
