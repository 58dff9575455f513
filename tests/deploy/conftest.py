"""A live server, to compare what is deployed with what it says."""

from tests.server.conftest import start_bench as start_bench
