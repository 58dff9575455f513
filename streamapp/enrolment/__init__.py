"""Faces that people hold out to be remembered or compared: from pictures and live tracks to people in the gallery."""
