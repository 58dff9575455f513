"""`python -m streamapp` is `streamapp`."""

from streamapp.cli import main

main()
