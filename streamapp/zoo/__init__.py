"""The models: one small file each, what the manifest says of their weights, and how those are fetched and verified."""
