"""What happened on the streams: told once each, kept for a while, sent to whom the settings name."""
