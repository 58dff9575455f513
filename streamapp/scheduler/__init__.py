"""Who runs which model when, and in how much memory."""
