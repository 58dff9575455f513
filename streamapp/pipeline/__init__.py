"""The per-frame path: mailbox, pump, fan-out, and the session that owns them for one stream."""
