"""How much one machine carries, measured on a running server, and how many machines a fleet of cameras needs."""
