"""Recordings: a stream's own coded pictures beside the results found in them, in folders with names of our own."""
