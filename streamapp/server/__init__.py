"""HTTP and WebRTC signalling over the runtime."""
