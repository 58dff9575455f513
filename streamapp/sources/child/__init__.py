"""A network camera read by FFmpeg in a process of its own, confined, so that what FFmpeg does costs one connection."""
