"""One script per figure: each prints ratios against a floor and a peer measured side by side in one run."""
