"""Where pictures come from. Every source gives the same `Frame`s to an `Outlet`; none retries by itself."""
