"""Programs that the benchmarks start: servers to measure. Some run in environments of their own."""
