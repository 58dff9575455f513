"""Where results go. Each sink reads its own inbox; a slow one loses its own pictures and nobody else's."""
