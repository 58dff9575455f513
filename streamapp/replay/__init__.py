"""Recorded sessions, run again through the live pipeline, and what comes out differently."""
